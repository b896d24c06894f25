"""A short fine-tuning on one domain before its gradients are read; the original weights come back bit for bit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError
from codingspot.importance.accumulation import gradients_enabled, summed_loss
from codingspot.models import unique_parameters


@dataclass(frozen=True)
class FineTune:
    """Settings of the fine-tuning.

    ``steps`` of ``optimizer`` at a constant ``learning_rate``, each on ``sequences_per_step`` sequences of
    the domain (all are seen once, in a seeded order, before any is seen again). ``weights`` says which
    theta multiplies the gradients taken at the fine-tuned weights: those weights, or the original ones.
    """

    steps: int
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "adamw"
    sequences_per_step: int = 8
    seed: int = 0
    weights: Literal["fine-tuned", "original"] = "fine-tuned"


@dataclass(frozen=True)
class FineTuned:
    """The loss of each step (nats a token, before the step) and the theta that the settings ask for, by name."""

    losses: tuple[float, ...]
    weights: Mapping[str, Tensor]


@contextmanager
def fine_tuned(
    model: nn.Module,
    tokens: PackedTokens,
    settings: FineTune,
    *,
    on_step: Callable[[int], None] = lambda _done: None,
) -> Iterator[FineTuned]:
    """The model is fine-tuned on ``tokens`` inside the block; at its end every weight is what it was, bit for bit.

    No dropout, no weight decay. Costs one copy of the weights, kept on the CPU, and the optimizer's state.
    ``on_step`` is called after each step with the steps done; it may read the weights, and change them.

    Raises:
        NonFiniteError: the loss of a step is NaN or infinite.
    """
    parameters = unique_parameters(model)
    original = {name: parameter.detach().to("cpu", copy=True) for name, parameter in parameters.items()}
    try:
        losses = tuple(_train(model, list(parameters.values()), tokens, settings, on_step))
        current = {name: parameter.detach() for name, parameter in parameters.items()}
        yield FineTuned(losses, original if settings.weights == "original" else current)
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(original[name])


def _train(
    model: nn.Module,
    parameters: list[nn.Parameter],
    tokens: PackedTokens,
    settings: FineTune,
    on_step: Callable[[int], None],
) -> list[float]:
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(parameters, lr=settings.learning_rate)
    else:
        optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    losses: list[float] = []
    order = _endless_order(len(tokens.input_ids), settings.seed)
    with gradients_enabled(model):
        for step in range(settings.steps):
            rows = torch.tensor([next(order) for _ in range(settings.sequences_per_step)])
            batch = tokens.input_ids[rows].to(parameters[0].device)
            loss = summed_loss(model, batch) / (batch.shape[0] * (batch.shape[1] - 1))
            value = float(loss.detach())
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"fine-tuning on {tokens.domain!r}: the loss is {value} at step {step}; lower learning_rate"
                )
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(value)
            on_step(step + 1)
    return losses


def _endless_order(sequences: int, seed: int) -> Iterator[int]:
    shuffler = random.Random(seed)
    order = list(range(sequences))
    while True:
        shuffler.shuffle(order)
        yield from order
