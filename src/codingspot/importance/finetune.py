"""A short fine-tuning on one domain before its gradients are read; the original weights come back bit for bit.

1. Every parameter has an optimizer of its own, stepped in a hook as soon as its gradient is complete, after which the
   gradient is freed: no more than one gradient exists at a time.
2. Weights of half precision are updated in float32, one tensor at a time, and rounded stochastically: a small step,
   which rounding to nearest would lose, is then taken with the right probability (Gupta et al. 2015, arXiv
   1502.02551). The draws depend on the seed, the step and the parameter only.
3. The state kept is that of the optimizer: nothing for SGD; a row and a column for each matrix for Adafactor (Shazeer
   and Stern 2018, arXiv 1804.04235); two float32 numbers a parameter for AdamW.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from codingspot.corpus import PackedTokens
from codingspot.errors import ModelError, NonFiniteError, StudyError
from codingspot.files import digest
from codingspot.importance.accumulation import gradients_enabled
from codingspot.models import OutputHead, ParameterLayout, unique_parameters
from codingspot.settings import Count, Distinct, Seed, check_fields

OptimizerName = Literal["sgd", "adafactor", "adamw"]


@dataclass(frozen=True)
class FineTune:
    """Settings of the fine-tuning.

    ``steps`` of ``optimizer`` at a constant ``learning_rate``, each on ``sequences_per_step`` sequences of
    the domain (all are seen once, in a seeded order, before any is seen again). ``weights`` says which
    theta multiplies the gradients taken at the fine-tuned weights: those weights, or the original ones.
    ``snapshots`` are the steps done at which importance is recorded on the way, 0 being before the first.
    """

    steps: Annotated[int, Field(ge=0, lt=2**53)]
    learning_rate: Annotated[float, Field(ge=0)]
    optimizer: OptimizerName = "adamw"
    sequences_per_step: Count = 8
    seed: Seed = 0
    weights: Literal["fine-tuned", "original"] = "fine-tuned"
    snapshots: Annotated[tuple[int, ...], Distinct] = ()

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except ValueError as error:
            raise StudyError(f"fine-tuning: {error}; correct it") from None
        outside = [step for step in self.snapshots if not 0 <= step <= self.steps]
        if outside:
            raise StudyError(f"snapshot {outside[0]} is not among the {self.steps} steps of the fine-tuning; lower it")


@dataclass(frozen=True)
class FineTuned:
    """The loss of each step (nats a token, before the step) and the theta that the settings ask for, by name."""

    losses: tuple[float, ...]
    weights: Mapping[str, Tensor]


OnSnapshot = Callable[[int, Mapping[str, Tensor]], None]
"""Hears the steps done and the theta that the settings ask for."""


@contextmanager
def fine_tuned(
    model: nn.Module,
    tokens: PackedTokens,
    settings: FineTune,
    *,
    on_step: Callable[[int], None] = lambda _done: None,
    on_snapshot: OnSnapshot = lambda _done, _weights: None,
) -> Iterator[FineTuned]:
    """The model is fine-tuned on ``tokens`` inside the block; at its end every weight is what it was, bit for bit.

    No dropout, no weight decay. Costs one copy of the weights, kept on the CPU, and the optimizer's state.
    ``on_step`` is called after each step with the steps done; it may read the weights, and change them.
    ``on_snapshot`` is called at the settings' snapshots; it may read the weights and take gradients.

    Raises:
        NonFiniteError: the loss of a step is NaN or infinite.
        ModelError: the weights are float16, whose range is too small for updates, or have no gradient.
    """
    parameters = unique_parameters(model)
    for name, parameter in parameters.items():
        if parameter.dtype == torch.float16:
            raise ModelError(f"{name} is float16, which fine-tuning overflows; load the model in bfloat16 or float32")
    original = {name: parameter.detach().to("cpu", copy=True) for name, parameter in parameters.items()}
    current = {name: parameter.detach() for name, parameter in parameters.items()}
    weights = original if settings.weights == "original" else current

    def after(step: int) -> None:
        if step > 0:
            on_step(step)
        if step in settings.snapshots:
            on_snapshot(step, weights)

    try:
        losses = tuple(_train(model, parameters, tokens, settings, after))
        yield FineTuned(losses, weights)
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(original[name])


def optimizer_bytes(layout: ParameterLayout, optimizer: OptimizerName) -> int:
    """Bytes of the optimizer's state, all parameters together."""
    if optimizer == "adamw":
        return 8 * layout.total
    if optimizer == "adafactor":
        return 4 * sum(_factored(shape) for shape in layout.shapes)
    return 0


def _factored(shape: tuple[int, ...]) -> int:
    """How many second moments Adafactor keeps: the sums of a matrix's rows and columns, or every one of a vector."""
    if len(shape) < 2:
        return prod(shape)
    return prod(shape[:-2]) * (shape[-2] + shape[-1])


def _train(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    tokens: PackedTokens,
    settings: FineTune,
    after: Callable[[int], None],
) -> list[float]:
    losses: list[float] = []
    order = _endless_order(len(tokens.input_ids), settings.seed)
    head = OutputHead(model)
    updates = [_Update(name, parameter, settings) for name, parameter in parameters.items()]
    after(0)
    for step in range(settings.steps):
        rows = torch.tensor([next(order) for _ in range(settings.sequences_per_step)])
        with gradients_enabled(model), _stepping(updates):
            batch = tokens.input_ids[rows]
            loss = head.text_loss(batch) / (batch.shape[0] * (batch.shape[1] - 1))
            value = float(loss.detach())
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"fine-tuning on {tokens.domain!r}: the loss is {value} at step {step}; lower learning_rate"
                )
            loss.backward()  # type: ignore[no-untyped-call]
        losses.append(value)
        after(step + 1)
    return losses


class _Update:
    """One parameter's optimizer, stepped as soon as its gradient is complete."""

    def __init__(self, name: str, parameter: nn.Parameter, settings: FineTune) -> None:
        self.parameter = parameter
        self._exact = parameter.dtype != torch.bfloat16
        # The optimizer's state belongs to this tensor; between steps it holds no numbers.
        self._wide = parameter if self._exact else nn.Parameter(torch.empty(0, device=parameter.device))
        self._optimizer = _make_optimizer(self._wide, settings)
        self._seed = int(digest(str(settings.seed), name)[:12], 16)
        self._steps = 0

    @torch.no_grad()
    def __call__(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        if not self._exact:
            self._wide.data = parameter.float()
            self._wide.grad = parameter.grad.float()
            parameter.grad = None
        self._optimizer.step()
        self._wide.grad = None
        if not self._exact:
            generator = torch.Generator(parameter.device).manual_seed(self._seed + self._steps)
            parameter.copy_(stochastically_rounded(self._wide, generator))
            self._wide.data = torch.empty(0, device=parameter.device)
        self._steps += 1


def stochastically_rounded(values: Tensor, generator: torch.Generator) -> Tensor:
    """Float32 values as bfloat16, each rounded up or down so that its expectation is the value."""
    noise = torch.randint(1 << 16, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    bits = noise.add_(values.detach().view(torch.int32)).bitwise_and_(-(1 << 16))
    return bits.view(torch.float32).to(torch.bfloat16)


def _make_optimizer(parameter: nn.Parameter, settings: FineTune) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD([parameter], lr=settings.learning_rate)
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor([parameter], lr=settings.learning_rate, weight_decay=0.0)
    return torch.optim.AdamW([parameter], lr=settings.learning_rate, weight_decay=0.0)


@contextmanager
def _stepping(updates: list[_Update]) -> Iterator[None]:
    handles = [update.parameter.register_post_accumulate_grad_hook(update) for update in updates]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _endless_order(sequences: int, seed: int) -> Iterator[int]:
    shuffler = random.Random(seed)
    order = list(range(sequences))
    while True:
        shuffler.shuffle(order)
        yield from order
