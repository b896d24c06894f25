"""Folding the gradients of a domain's loss into one float32 tensor a parameter, without keeping any gradient.

1. A hook on every unique parameter runs as soon as its gradient is complete: it folds the gradient into the
   parameter's accumulator, part by part, and frees it, so that the peak is weights + accumulators + activations + one
   gradient.
2. The loss of a micro-batch is the sum of its tokens' negative log-likelihoods (nats), computed in chunks of positions
   so that its logits never exist as a whole (:mod:`codingspot.models.output_head`). Dividing what was
   folded by the number of predicted tokens makes it that of the domain's mean loss, however it was cut into
   micro-batches.
3. Of text in several draws, the gradients of each draw by itself are folded at some positions alone.
4. Where several ranks hold the parameters in shards (:mod:`codingspot.models.sharding`), each reads its share of a
   micro-batch, and its hooks fold its own rows of the gradients' sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from codingspot.errors import ModelError, NonFiniteError
from codingspot.models import OutputHead, unique_parameters
from codingspot.models.finite import all_finite, first_non_finite
from codingspot.models.parts import parts
from codingspot.models.ranks import Ranks, own_part

Fold = Callable[[Tensor, Tensor], None]
"""Adds a gradient (second) into a float32 accumulator (first), in place, element by element; it may overwrite the
gradient."""


@dataclass(frozen=True)
class Accumulated:
    """Folded gradients by parameter name, and their loss: nats, summed over the predicted tokens.

    ``sampled`` has those of each draw by itself, at the positions asked for.
    """

    gradients: dict[str, Tensor]
    loss_sum: float
    predicted_tokens: int
    sampled: tuple[dict[str, Tensor], ...] = ()

    @property
    def loss(self) -> float:
        """Mean loss in nats a token."""
        return self.loss_sum / self.predicted_tokens


@dataclass(frozen=True)
class PartOfModel:
    """Some of a model's parameters, by name, and what gives for one micro-batch after the other, in the domain's order,
    the loss or another number that has the loss's gradient by them."""

    parameters: Mapping[str, nn.Parameter]
    loss: Callable[[Int64[Tensor, "rows length"]], Tensor]


def accumulate_gradients(
    model: nn.Module,
    draws: Sequence[Iterable[Int64[Tensor, "_ length"]]],
    fold: Fold,
    *,
    domain: str,
    on_tokens: Callable[[int], None] = lambda _: None,
    sample: Mapping[str, Int64[Tensor, " m"]] | None = None,
    part: PartOfModel | None = None,
) -> Accumulated:
    """Fold the gradient of each micro-batch's summed loss, in float32, on the device of the weights.

    ``draws`` are the micro-batches of one draw of text after the other: the gradients of all are folded together, and
    those of each by itself at ``sample``, offsets into the flattened parameters by name. The model is used in
    evaluation mode and left as it was: mode, ``requires_grad`` and ``.grad`` of every parameter. A parameter that no
    token reached keeps a gradient of zero. ``on_tokens`` hears the size of each finished micro-batch. Of a ``part`` of
    the model the gradients by its parameters alone are folded, and its losses are what is added up.

    Raises:
        NonFiniteError: a loss or gradient is NaN or infinite; ``domain`` and the tensor are named.
        ModelError: a parameter can't have a gradient (quantised weights).
    """
    parameters = unique_parameters(model) if part is None else part.parameters
    ranks = Ranks.of(parameters.values())
    loss_of = partial(_own_loss, OutputHead(model), ranks) if part is None else part.loss
    loss_sum, predicted = 0.0, 0
    gradients = {name: _zeros(parameter) for name, parameter in parameters.items()}
    sampled: list[dict[str, Tensor]] = []
    for batches in draws:
        own = {
            name: torch.zeros(offsets.shape, device=parameters[name].device) for name, offsets in (sample or {}).items()
        }
        sampled.append(own)
        with _folding(model, parameters, fold, gradients, sample or {}, own):
            for batch in batches:
                loss = loss_of(batch)
                (value,) = ranks.sums(float(loss.detach()))
                if not math.isfinite(value):
                    raise NonFiniteError(_explain_loss(parameters, domain, value))
                loss.backward()  # type: ignore[no-untyped-call]
                loss_sum += value
                predicted += batch.shape[0] * (batch.shape[1] - 1)
                on_tokens(batch.numel())
    for name, gradient in gradients.items():
        if not all_finite(gradient):
            raise NonFiniteError(
                f"the gradient of {name} in domain {domain!r} is NaN or infinite; load the model in float32"
            )
    return Accumulated(gradients, loss_sum, predicted, tuple(sampled))


@contextmanager
def gradients_enabled(model: nn.Module) -> Iterator[None]:
    """Every parameter takes part in the backward pass, in evaluation mode; all is put back at the end.

    Raises:
        ModelError: a parameter can't have a gradient (quantised weights).
    """
    modes = [(module, module.training) for module in model.modules()]
    states = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    try:
        model.eval()
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                raise ModelError(f"{name} is {parameter.dtype}, which has no gradient; load the model unquantised")
            parameter.requires_grad_(True)
            parameter.grad = None
        with torch.enable_grad():
            yield
    finally:
        for parameter, required, gradient in states:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        for module, training in modes:
            module.training = training


def _zeros(parameter: Tensor) -> Tensor:
    """Zeros in float32 of the shape of a parameter, in shards as it is."""
    return torch.zeros_like(parameter.detach(), dtype=torch.float32, memory_format=torch.contiguous_format)


def _own_loss(head: OutputHead, ranks: Ranks, batch: Tensor) -> Tensor:
    """The summed loss of this rank's share of a batch; all ranks run the model, those without a share on nothing."""
    share = ranks.share(batch)
    return head.text_loss(share) if len(share) else head.text_loss(batch[:1]) * 0.0


@contextmanager
def _folding(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    fold: Fold,
    gradients: Mapping[str, Tensor],
    sample: Mapping[str, Tensor],
    sampled: Mapping[str, Tensor],
) -> Iterator[None]:
    """Inside the block every gradient is folded into ``gradients``, and at ``sample`` into ``sampled``, and freed."""

    def hook(name: str) -> Callable[[Tensor], None]:
        accumulator = own_part(gradients[name]).view(-1)
        offsets = sample[name].to(accumulator.device) if name in sample else None

        def fold_and_free(parameter: Tensor) -> None:
            assert parameter.grad is not None
            gradient, parameter.grad = own_part(parameter.grad).reshape(-1), None
            if offsets is not None:
                fold(sampled[name], gradient[offsets])
            for part, of_part in parts(accumulator, gradient):
                fold(part, of_part)

        return fold_and_free

    with gradients_enabled(model):
        handles = [
            parameter.register_post_accumulate_grad_hook(hook(name))  # type: ignore[no-untyped-call]
            for name, parameter in parameters.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _explain_loss(parameters: Mapping[str, nn.Parameter], domain: str, value: float) -> str:
    name = first_non_finite(parameters)
    if name is not None:
        return f"weight {name} holds NaN or infinity, so the loss of domain {domain!r} is {value}; repair it"
    return f"the loss of domain {domain!r} is {value} though every weight is finite; load the model in float32"
