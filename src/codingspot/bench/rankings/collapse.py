"""Taylor saliency without what code shares with general text (CIR, Sondej and Yang 2025, arXiv 2509.11816).

The gradient G of a linear layer's weight is the sum over tokens of g x', with x its input and g the gradient of the
loss at its output. The paper projects common directions out of every x and g before it adds them up, which comes to
(I - V V') G (I - U U'), V and U the orthonormal directions of g and x. These are the mean and the first principal
components (36 of g, 24 of x), taken there from the text to be unlearned, and here from general text, as what is to be
spared. A weight's key is |theta G| of each language's mean loss, added up. The paper's update, and the loss that it
follows, is for unlearning and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import torch
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor, nn

from codingspot.bench.methods import METHODS, SCOPE, BenchInput
from codingspot.corpus import PackedTokens
from codingspot.importance.accumulation import accumulate_gradients
from codingspot.importance.activations import as_rows, linear_layers
from codingspot.importance.estimators import add_signed
from codingspot.models import ParameterLayout, unique_parameters
from codingspot.spot.candidates import names_in

Components = Annotated[int, Field(ge=0)]
_SEQUENCES = 8


@METHODS.register("collapse", label="CIR", reference="arXiv 2509.11816")
def collapse(
    bench: BenchInput, *, of_inputs: Components = 24, of_gradients: Components = 36
) -> Float32[Tensor, " parameters"]:
    """Taylor saliency with general text's mean and components projected out of inputs and gradients (CIR)."""
    model, (code, general) = bench.loaded.model, bench.texts
    layout, weights = ParameterLayout.of(model), unique_parameters(model)
    inside = set(names_in(layout, SCOPE))
    layers = {name: layer for name, layer in linear_layers(model) if name in inside}
    with _observed(layers) as seen:
        for tokens in general.values():
            _gradients(model, tokens)
    spared = {
        name: (gradients.outside(of_gradients), inputs.outside(of_inputs)) for name, (inputs, gradients) in seen.items()
    }
    keys = torch.full((layout.total,), -torch.inf)
    for name in seen:
        keys[layout.slice(name)] = 0.0
    for tokens in code.values():
        found = _gradients(model, tokens)
        for name, (left, right) in spared.items():
            own = as_rows(layers[name], left @ as_rows(layers[name], found[name]) @ right)
            scores = (own * weights[name].detach()).abs() / tokens.predicted_tokens
            keys[layout.slice(name)] += scores.flatten().cpu()
    return keys


def _gradients(model: nn.Module, tokens: PackedTokens) -> dict[str, Tensor]:
    """Of the loss summed over a text, by parameter."""
    batches = torch.split(tokens.input_ids, _SEQUENCES)
    return accumulate_gradients(model, [batches], add_signed, domain=tokens.domain).gradients


class Directions:
    """The mean and the covariance of vectors, added up as they come."""

    def __init__(self) -> None:
        self._vectors, self._sum, self._squares = 0, torch.zeros(()), torch.zeros(())

    @torch.no_grad()
    def add(self, vectors: Float[Tensor, "*rows width"]) -> None:
        """Take some more vectors."""
        wide = vectors.detach().flatten(0, -2).double()
        self._vectors += len(wide)
        self._sum = self._sum + wide.sum(0)
        self._squares = self._squares + wide.T @ wide

    def outside(self, components: int) -> Float32[Tensor, "width width"]:
        """The projection on what is orthogonal to their mean and first principal components."""
        mean = self._sum / self._vectors
        covariance = self._squares / self._vectors - mean.outer(mean)
        best = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :components]
        basis = torch.linalg.qr(torch.cat([mean[:, None], best], dim=1)).Q
        projection: Tensor = torch.eye(len(mean), device=mean.device, dtype=mean.dtype) - basis @ basis.T
        return projection.float()


@contextmanager
def _observed(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, tuple[Directions, Directions]]]:
    """By name of its weight, a layer's inputs and the gradients at its outputs, of whatever runs inside the block."""
    seen = {name: (Directions(), Directions()) for name in layers}

    def see(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        inputs, gradients = seen[name]

        def observe(_layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            if output.requires_grad:  # what is run without gradients is a probe, no text
                inputs.add(arguments[0])
                output.register_hook(gradients.add)  # type: ignore[no-untyped-call]

        return observe

    handles = [layer.register_forward_hook(see(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
