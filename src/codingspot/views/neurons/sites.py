"""Where a model's MLP neurons are: the activation function of every MLP, found without knowing the architecture.

A neuron is one output of an MLP's activation function: of the gate's where the MLP is gated, of the first matrix's
otherwise. An MLP is a module that has the down projection among its children or parameters (:func:`role_of` knows its
names); its activation function is the one child that has neither parameters nor children and is no dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codingspot.errors import ModelError
from codingspot.models import Role, role_of
from codingspot.models.inputs import experts_in_turn

_PROBE_TOKENS = 2


@dataclass(frozen=True)
class Site:
    """The neurons of one MLP, or of all experts of one routed MLP.

    Attributes:
        mlp: name of the module that holds the projections.
        activation: name of the activation function's module.
        layer: number of the layer.
        experts: number of experts that share the module; 1 for a plain MLP.
        width: neurons an expert.
    """

    mlp: str
    activation: str
    layer: int
    experts: int
    width: int

    @property
    def neurons(self) -> int:
        """Neurons of all experts."""
        return self.experts * self.width


@dataclass(frozen=True)
class NeuronLayout:
    """A model's MLP neurons in one order: by layer, expert and neuron. A neuron's number is its place in that order."""

    sites: tuple[Site, ...]

    @property
    def total(self) -> int:
        """How many neurons there are."""
        return sum(site.neurons for site in self.sites)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Number of each site's first neuron; the last entry is ``total``."""
        return (0, *accumulate(site.neurons for site in self.sites))

    @cached_property
    def layers(self) -> np.ndarray:
        """Layer of every neuron, int64 ``[neurons]``."""
        return np.repeat([site.layer for site in self.sites], [site.neurons for site in self.sites])

    @cached_property
    def experts(self) -> np.ndarray:
        """Expert of every neuron, int64 ``[neurons]``, counted through a layer's sites; 0 in a plain MLP."""
        first: dict[int, int] = {}
        found = []
        for site in self.sites:
            start = first.get(site.layer, 0)
            first[site.layer] = start + site.experts
            found.append(np.repeat(np.arange(start, start + site.experts), site.width))
        return np.concatenate(found)

    @cached_property
    def indices(self) -> np.ndarray:
        """Index of every neuron in its MLP or expert, int64 ``[neurons]``."""
        return np.concatenate([np.tile(np.arange(site.width), site.experts) for site in self.sites])

    def of_site(self, site: int, neurons: np.ndarray) -> np.ndarray:
        """Those of ``neurons`` that lie in one site, counted from its first, in increasing order."""
        inside = neurons[(neurons >= self.offsets[site]) & (neurons < self.offsets[site + 1])]
        return np.sort(inside) - self.offsets[site]


Observer = Callable[[int, int, Tensor, Tensor | None], Tensor | None]
"""Called with the number of a site, the expert, the activations ``[rows, width]`` and the token of each row among the
batch's (None where row i is token i). A tensor it returns takes the place of the activations."""


def find_sites(model: PreTrainedModel) -> NeuronLayout:
    """The MLP neurons of ``model``.

    Raises:
        ModelError: no MLP with an activation function of its own is found, or one of them is not used as expected.
    """
    found = list(_candidates(model))
    if not found:
        raise ModelError(
            f"no MLP neurons were found in {type(model).__name__}: no layer has a down projection beside an activation "
            "function; use a model of the transformers library whose MLPs have both"
        )
    widths: dict[int, int] = {}

    def measure(site: int, expert: int, activations: Tensor, tokens: Tensor | None) -> None:
        del expert, tokens
        widths[site] = activations.shape[-1]

    probed = NeuronLayout(tuple(Site(mlp, act, layer, experts, 0) for mlp, act, layer, experts in found))
    with observed(model, probed, measure), torch.no_grad():
        ids = torch.zeros(1, _PROBE_TOKENS, dtype=torch.int64, device=model.device)
        model.base_model(input_ids=ids, use_cache=False)
    unused = [site.mlp for number, site in enumerate(probed.sites) if number not in widths]
    if unused:
        raise ModelError(f"the activation function of {unused[0]} is not called by {type(model).__name__}")
    sites = (Site(s.mlp, s.activation, s.layer, s.experts, widths[n]) for n, s in enumerate(probed.sites))
    return NeuronLayout(tuple(sites))


def _candidates(model: PreTrainedModel) -> Iterator[tuple[str, str, int, int]]:
    """Module of the MLP, its activation function, layer and number of experts, by layer."""
    found = []
    for name, module in model.named_modules():
        down = _down(name, module)
        if down is None:
            continue
        role, shape = down
        activations = [child for child, each in module.named_children() if _is_activation(each)]
        if len(activations) != 1 or role.layer is None:
            continue
        experts = shape[0] if len(shape) == 3 else 1
        found.append((name, f"{name}.{activations[0]}", role.layer, experts))
    yield from sorted(found, key=lambda each: each[2])


def _down(name: str, module: nn.Module) -> tuple[Role, torch.Size] | None:
    """Role and shape of the down projection that is a parameter of ``module`` or of a direct child."""
    for inside, parameter in module.named_parameters():
        role = role_of(f"{name}.{inside}")
        if inside.count(".") < 2 and parameter.dim() > 1 and role.block == "mlp" and role.kind == "down":
            return role, parameter.shape
    return None


def _is_activation(module: nn.Module) -> bool:
    leaf = not any(True for _ in module.children()) and not any(True for _ in module.parameters())
    return leaf and not isinstance(module, nn.Dropout | nn.Identity)


@contextmanager
def observed(model: PreTrainedModel, layout: NeuronLayout, observer: Observer) -> Iterator[None]:
    """Inside the block, ``observer`` is called with the activations of every site in each forward pass.

    Raises:
        ModelError: in a forward pass, where a routed MLP doesn't call its activation function once for each expert that
            has tokens, in order.
    """
    with ExitStack() as stack:
        if any(site.experts > 1 for site in layout.sites):
            stack.enter_context(experts_in_turn(model))
        for number, site in enumerate(layout.sites):
            watcher = _Watcher(number, site, observer)
            mlp, activation = model.get_submodule(site.mlp), model.get_submodule(site.activation)
            if site.experts > 1:
                before: Any = mlp.register_forward_pre_hook(watcher.route, with_kwargs=True)
                stack.callback(before.remove)
            handle = activation.register_forward_hook(watcher.activate)
            stack.callback(handle.remove)
        yield


class _Watcher:
    """Says of each call of one activation function whose rows it was called with."""

    def __init__(self, number: int, site: Site, observer: Observer) -> None:
        self.number, self.site, self.observer = number, site, observer
        self._routes: Iterator[tuple[int, Tensor]] = iter(())

    def route(self, _mlp: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Note which tokens go to which expert: the integer argument, ``[tokens, experts a token]``."""
        tensors = [each for each in (*arguments, *keywords.values()) if isinstance(each, Tensor)]
        chosen = next((each for each in tensors if not each.is_floating_point() and each.dim() == 2), None)
        if chosen is None:
            raise ModelError(f"{self.site.mlp} is not told which expert each token goes to; its neurons can't be seen")
        self._routes = iter(
            (expert, (expert == chosen.T).nonzero()[:, 1])
            for expert in sorted(set(chosen.flatten().tolist()))
            if expert < self.site.experts
        )

    def activate(self, _activation: nn.Module, _arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Pass the activations on with their expert and tokens."""
        rows = output.flatten(0, -2)
        if self.site.experts == 1:
            changed = self.observer(self.number, 0, rows, None)
        else:
            expert, tokens = next(self._routes, (-1, rows.new_empty(0, dtype=torch.int64)))
            if len(tokens) != len(rows):
                raise ModelError(f"{self.site.mlp} does not call its experts in turn; its neurons can't be seen")
            changed = self.observer(self.number, expert, rows, tokens)
        return None if changed is None else changed.view_as(output)
