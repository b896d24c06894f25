"""Gradient routing: a model in which the place where coding was learned is known by construction.

1. In every layer some MLP neurons and one or more key-value groups of heads are set aside: the *subset*. Its weights
   are the neurons' rows of gate and up and columns of down, and the heads' rows of q, k and v and columns of o.
2. A batch holds code and general text. Code updates the subset and the embeddings (input and output) alone, general
   text everything but the subset. Every weight takes its gradient from its own part of the batch in every step, so
   neither momentum nor weight decay moves it for the other's sake; without code in the batch the subset stays.
3. Half of the general text is read with the subset zeroed, so that general ability does not come to lean on it; half
   with it present, so that it does not disturb. Norms and embeddings belong to neither part.
4. The rest is trained first, on general text alone, and moves slowly while code is learned. Trained together from the
   start, each part is a moving background for the other, and neither learns much.

Gradient routing: Cloud et al. 2024, arXiv 2410.04332.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import ArtefactError, ModelError
from codingspot.outputs import write_model
from codingspot.records import Count, read_model

_FILE = "subset.json"


class Routing(BaseModel):
    """How large the subset is that code is routed to: neurons and key-value groups of a layer, or of each by itself.

    They are a layer's first, or, ``scattered``, drawn by the recipe's seed, others in every layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    neurons: Annotated[int, Field(gt=0)] | tuple[Count, ...]
    key_value_groups: Annotated[int, Field(gt=0)] | tuple[Count, ...]
    scattered: bool = False

    def sizes(self, layers: int) -> list[tuple[int, int]]:
        """Neurons and key-value groups of every layer.

        Raises:
            ModelError: they are given for another number of layers.
        """
        counts = []
        for each in (self.neurons, self.key_value_groups):
            one_a_layer = (each,) * layers if isinstance(each, int) else each
            if len(one_a_layer) != layers:
                raise ModelError(f"routing names {len(one_a_layer)} layers, the model has {layers}; name each layer")
            counts.append(one_a_layer)
        return list(zip(*counts, strict=True))


@dataclass(frozen=True)
class Split:
    """How a routed step is divided: the share of sequences that is code, and how fast the rest moves.

    ``rest_rate`` is the learning rate of what only general text updates, relative to that of subset and embeddings.
    Without code the subset stays as it is.
    """

    code: float = 0.5
    rest_rate: float = 1.0


class LayerUnits(BaseModel):
    """A layer's units that code was routed to.

    ``neurons`` index the MLP, ``heads`` the query heads, ``key_value_heads`` the groups they share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    neurons: tuple[Count, ...]
    heads: tuple[Count, ...]
    key_value_heads: tuple[Count, ...]


class Subset(BaseModel):
    """The units that code was routed to, by layer; ``head_size`` is the number of rows a head has in q."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[LayerUnits, ...]
    head_size: Count

    @classmethod
    def of(cls, routing: Routing, config: Any, seed: int = 0) -> Subset:
        """The subset of a model with a Llama configuration; ``seed`` draws the units where they are scattered.

        Raises:
            ModelError: the model has other layers, or fewer neurons or groups in one than are routed.
        """
        groups, neurons = config.num_key_value_heads, config.intermediate_size
        sizes = routing.sizes(config.num_hidden_layers)
        most = tuple(map(max, zip(*sizes, strict=True)))
        if most[0] >= neurons or most[1] >= groups:
            raise ModelError(
                f"a routed subset must leave something: the model has {neurons} neurons and {groups} key-value "
                f"groups a layer, and {most[0]} and {most[1]} are routed"
            )
        queries = config.num_attention_heads // groups
        generator = np.random.default_rng(seed)

        def chosen(count: int, of: int) -> tuple[int, ...]:
            return (
                tuple(sorted(generator.permutation(of)[:count].tolist())) if routing.scattered else tuple(range(count))
            )

        layers = []
        for own_neurons, own_groups in sizes:
            shared = chosen(own_groups, groups)
            heads = tuple(group * queries + head for group in shared for head in range(queries))
            layers.append(LayerUnits(neurons=chosen(own_neurons, neurons), heads=heads, key_value_heads=shared))
        return cls(layers=tuple(layers), head_size=config.hidden_size // config.num_attention_heads)

    def mask(self, name: str, shape: torch.Size) -> Tensor | None:
        """Which entries of parameter ``name`` belong to the subset, bool [rows, columns]; None outside the blocks."""
        place = self._place(name)
        if place is None:
            return None
        index, axis = place
        if len(index) and int(index.max()) >= shape[axis]:
            raise ArtefactError(
                f"{_FILE} is of another model: {name} has no row or column {int(index.max())}; train it again"
            )
        return torch.zeros(shape, dtype=torch.bool).index_fill_(axis, index, True)

    def _place(self, name: str) -> tuple[Tensor, int] | None:
        """Of a block matrix the rows (axis 0) or columns (axis 1) that belong to the subset, and the axis."""
        found = re.search(r"\.layers\.(\d+)\..*\.(\w+_proj)(\.weight)?$", name)
        if found is None:
            return None
        number, kind = int(found[1]), found[2]
        if number >= len(self.layers):
            raise ArtefactError(f"{_FILE} is of another model: it has no layer {number}; train it again")
        units, size, axis = self._places(self.layers[number])[kind]
        return torch.tensor([unit * size + offset for unit in units for offset in range(size)], dtype=torch.int64), axis

    def _places(self, layer: LayerUnits) -> dict[str, tuple[tuple[int, ...], int, int]]:
        """By kind of matrix: units, weights a unit has along the axis, and the axis (0 rows, 1 columns)."""
        return {
            "gate_proj": (layer.neurons, 1, 0),
            "up_proj": (layer.neurons, 1, 0),
            "down_proj": (layer.neurons, 1, 1),
            "q_proj": (layer.heads, self.head_size, 0),
            "k_proj": (layer.key_value_heads, self.head_size, 0),
            "v_proj": (layer.key_value_heads, self.head_size, 0),
            "o_proj": (layer.heads, self.head_size, 1),
        }

    def masks(self, model: PreTrainedModel) -> dict[str, Tensor]:
        """The mask of every block matrix of ``model``, by parameter name."""
        found = {name: self.mask(name, parameter.shape) for name, parameter in model.named_parameters()}
        return {name: mask for name, mask in found.items() if mask is not None}

    @contextmanager
    def zeroed(self, model: PreTrainedModel) -> Iterator[None]:
        """Read with the subset zeroed: its neurons and heads write nothing into the residual stream."""
        handles = []
        for name, module in model.named_modules():
            if name.endswith(("down_proj", "o_proj")):
                handles.append(module.register_forward_pre_hook(self._silence(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _silence(self, name: str) -> Any:
        place = self._place(name)
        assert place is not None
        columns, _ = place

        def silence(_module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            hidden = arguments[0]
            return (hidden.index_fill(-1, columns.to(hidden.device), 0.0), *arguments[1:])

        return silence

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether the model in ``folder`` was trained with routing."""
        return (folder / _FILE).exists()

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Write the subset beside a model; ``force`` replaces the subset that is there.

        Raises:
            OutputError: something else has the file's name, or a subset and not ``force``.
        """
        write_model(folder / _FILE, self, force=force)

    @classmethod
    def load(cls, folder: Path) -> Subset:
        """Read the subset of a routed model.

        Raises:
            ArtefactError: the model in ``folder`` was not trained with routing.
        """
        if not cls.is_in(folder):
            raise ArtefactError(f"{folder} has no {_FILE}: its model was not trained by gradient routing")
        return read_model(folder / _FILE, cls, what="the subset of a routed model", way_out="train the model again")


class Router:
    """Takes every weight's gradient from the part of the batch that may update it."""

    def __init__(self, model: PreTrainedModel, subset: Subset) -> None:
        self._model = model
        self._subset = subset
        self._masks = {name: mask.to(model.device) for name, mask in subset.masks(model).items()}

    def backward(self, loss_of: Any, code: Tensor, general: Tensor) -> Tensor:
        """Fill ``.grad`` of every parameter from sequences [sequences, length] of code and of general text.

        ``loss_of(model, sequences)`` is the mean loss. ``code`` may be empty: the subset's gradient is then zero.
        ``general`` has at least two sequences; the first half is read with the subset zeroed. Returns the mean loss
        of both kinds, as they are read unablated.
        """
        losses, from_code = [], {}
        if len(code):
            code_loss = loss_of(self._model, code)
            code_loss.backward()
            from_code = {name: p.grad for name, p in self._model.named_parameters()}
            self._model.zero_grad(set_to_none=True)
            losses.append(code_loss.detach())
        absent, present = general.chunk(2)
        with self._subset.zeroed(self._model):
            loss_of(self._model, absent).backward()
        general_loss = loss_of(self._model, present)
        general_loss.backward()
        losses.append(general_loss.detach())
        for name, parameter in self._model.named_parameters():
            if parameter.grad is not None:
                parameter.grad = self._route(name, from_code.get(name), parameter.grad)
        return torch.stack(losses).mean()

    @contextmanager
    def moving(self, split: Split) -> Iterator[None]:
        """Within the block, an optimizer step moves the rest ``split.rest_rate`` times as far, the subset only if code.

        An AdamW step, decay included, is proportional to its learning rate, so these are learning rates of the parts'
        own; at a rate of 0 a part stays as it is, bit for bit.
        """
        subset, rest = 1.0 if split.code else 0.0, split.rest_rate
        if subset == rest:
            yield
            return
        parts = {n: p.detach() for n, p in self._model.named_parameters() if n in self._masks or p.dim() < 2}
        before = {name: part.clone() for name, part in parts.items()}
        yield
        for name, part in parts.items():
            mask = self._masks.get(name)
            rate = torch.full_like(part, rest) if mask is None else torch.where(mask, subset, rest)
            part.copy_(torch.where(rate == 1.0, part, before[name] + rate * (part - before[name])))

    def _route(self, name: str, code: Tensor | None, general: Tensor) -> Tensor:
        code = torch.zeros_like(general) if code is None else code
        if name in self._masks:
            return torch.where(self._masks[name], code, general)
        is_norm = code.dim() < 2
        return general if is_norm else code + general
