"""Estimators from activations: no backward pass. Only the weights of linear layers have a score above 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from codingspot.importance.estimators import ESTIMATORS, DomainInput, Estimate, EstimatorTraits
from codingspot.models import unique_parameters
from codingspot.models.structure import is_conv1d

Collect = Callable[[Tensor, Tensor], Tensor]
"""From a layer's input [tokens, inputs] and output [tokens, outputs] to what is summed over batches."""


@ESTIMATORS.register("wanda", reference="arXiv 2306.11695")
def wanda(domain: DomainInput, *, comparison: Literal["row", "layer"] = "row") -> Estimate:
    """|W_ij| ||x_j||: a weight's magnitude times the norm of its input over the domain's tokens (Sun et al. 2023).

    arXiv 2306.11695, equation 1. ``row`` is the paper's comparison group: the score is the share of the weights of its
    output row with a smaller product, in (0, 1], so that every row is treated alike in a global order; ``layer`` keeps
    the product itself. Weights outside linear layers (embeddings, norms, fused experts) score 0.
    """

    def squares(inputs: Tensor, outputs: Tensor) -> Tensor:
        del outputs
        return inputs.float().square().sum(0)

    scores = {}
    for name, (layer, summed) in linear_statistics(domain, squares).items():
        weight = as_rows(layer, domain.weights[name].detach().to(summed.device))
        product = weight.abs().float() * summed.sqrt()[None, :]
        if comparison == "row":
            order = product.argsort(dim=1, stable=True).argsort(dim=1)
            product = (order + 1).float() / product.shape[1]
        scores[name] = as_rows(layer, product)
    return _complete(domain, scores)


@ESTIMATORS.register("activation", reference="arXiv 1607.03250", traits=EstimatorTraits(additive=True))
def activation(domain: DomainInput) -> Estimate:
    """Mean |y_i| over the domain's tokens for every weight of row i: how strongly the row's output is active.

    The unit is the row, as in structured pruning by activations (Hu et al. 2016, arXiv 1607.03250); weights of one row
    tie, and ties go by position. Weights outside linear layers score 0.
    """

    def magnitudes(inputs: Tensor, outputs: Tensor) -> Tensor:
        del inputs
        return outputs.float().abs().sum(0)

    tokens = domain.tokens.input_ids.numel()
    scores = {}
    for name, (layer, summed) in linear_statistics(domain, magnitudes).items():
        shape = as_rows(layer, domain.weights[name].detach()).shape
        scores[name] = as_rows(layer, (summed / tokens)[:, None].expand(shape))
    return _complete(domain, scores)


def linear_statistics(domain: DomainInput, collect: Collect) -> dict[str, tuple[nn.Module, Tensor]]:
    """By name of its weight, each linear layer that was used and what was collected from it over the domain."""
    layers = dict(linear_layers(domain.model))
    sums: dict[str, Tensor] = {}
    with _observing(layers, collect, sums), torch.no_grad():
        for batch in domain.micro_batches():
            domain.model(input_ids=batch.to(next(domain.model.parameters()).device), use_cache=False)
            domain.on_tokens(batch.numel())
    return {name: (layer, sums[name]) for name, layer in layers.items() if name in sums}


def linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names of weights, and the linear layers that they are of."""
    names = {id(parameter): name for name, parameter in unique_parameters(model).items()}
    for layer in model.modules():
        if isinstance(layer, nn.Linear) or is_conv1d(layer):
            yield names[id(layer.weight)], layer


@contextmanager
def _observing(layers: dict[str, nn.Module], collect: Collect, sums: dict[str, Tensor]) -> Iterator[None]:
    def observer(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def observe(_layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            found = collect(arguments[0].flatten(0, -2), output.flatten(0, -2))
            sums[name] = sums[name] + found if name in sums else found

        return observe

    handles = [layer.register_forward_hook(observer(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def as_rows(layer: nn.Module, weight: Tensor) -> Tensor:
    """The weight as [outputs, inputs], or back: Conv1D keeps it transposed."""
    return weight.T if is_conv1d(layer) else weight


def _complete(domain: DomainInput, found: dict[str, Tensor]) -> Estimate:
    """The scores found, and zeros for every other parameter."""
    return Estimate(
        {
            name: found[name].cpu().contiguous() if name in found else torch.zeros(weight.shape)
            for name, weight in domain.weights.items()
        },
        None,
    )
