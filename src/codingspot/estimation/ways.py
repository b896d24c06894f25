"""Ways to score a model: as a whole, in shards over several ranks, or layer by layer; what each takes.

- *As a whole*: weights, a float32 accumulator a parameter, and a micro-batch's pass.
- In shards each *rank* has its part of weights and accumulators. Gathered beside them are what is outside the layers,
  whose gradients are summed in float32 at the end of a pass, and one layer; and there is the pass over the rank's share
  of a micro-batch's sequences. The first rank's machine holds the weights while they are sent.
- *Layer by layer* the device has one part of the model (a layer, or what is outside the layers) with its accumulators,
  and a micro-batch's pass through it. The host has what goes into a layer, and its gradient, for all of a domain's
  text; the disk what goes into every layer. Weights are read once for the fingerprint and twice for every domain,
  and layers computed forward twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codingspot.errors import ModelError
from codingspot.estimation.footprint import DatalessModel, Footprint
from codingspot.models import unique_parameters
from codingspot.models.streaming import decoder_layers

_FLOAT32 = 4  # bytes
_MOST_RANKS = 1024
_RANKS = 8  # where nothing says how many are needed


@dataclass(frozen=True)
class Way:
    """What a way to score takes, in bytes.

    Attributes:
        name: ``whole``, a number of ranks, or ``layer by layer``.
        device: memory of each device at its peak.
        host: memory that the first process's machine needs beside it.
        disk: what is kept there while a domain is scored.
        read: weights that are read from disk.
        operations: floating-point operations of all domains.
        fits: whether there is so much memory on a device, on a CPU of both together; None where that isn't known.
    """

    name: str
    device: int
    host: int
    disk: int
    read: int
    operations: float
    fits: bool | None = None


@dataclass(frozen=True)
class ScoredText:
    """What is scored: domains of so many tokens, and how many sequences of one length at once."""

    domains: int
    tokens: int
    sequences: int
    length: int
    max_logits: int


def ways_to_score(
    run: DatalessModel, whole: Footprint, text: ScoredText, *, memory: int | None, on_cpu: bool
) -> tuple[Way, ...]:
    """The ways to score a model whose pass is ``whole``, on devices of ``memory`` bytes, None where it isn't known.

    A model that fits as a whole, or whose layers can't be told apart, is scored so alone. Of ranks the smallest power
    of two is given that fits, or the largest that was tried.
    """

    def judged(way: Way) -> Way:
        return way if memory is None else replace(way, fits=way.device + way.host * on_cpu <= memory)

    first = judged(_as_a_whole(whole, text))
    try:
        parts = [] if first.fits else _parts(run.model)
    except ModelError:
        parts = []
    if not parts:
        return (first,)
    in_shards = _enough(_in_shards(run, whole, text, parts), judged, known=memory is not None)
    return first, in_shards, judged(_by_layer(run, whole, text, parts))


@dataclass(frozen=True)
class _Part:
    """A layer, or what is outside the layers: parameters, and bytes of their weights."""

    parameters: int
    weights: int


def _parts(model: PreTrainedModel) -> list[_Part]:
    """What is outside the layers, and then the layers.

    Raises:
        ModelError: the layers are not in one list.
    """
    every = unique_parameters(model)
    of_layers = [list(layer.parameters()) for layer in decoder_layers(model)]
    inside = {id(parameter) for layer in of_layers for parameter in layer}
    return [_part(each for each in every.values() if id(each) not in inside), *map(_part, of_layers)]


def _part(parameters: Iterable[nn.Parameter]) -> _Part:
    sizes = [(each.numel(), each.numel() * each.element_size()) for each in parameters]
    return _Part(sum(size for size, _ in sizes), sum(size for _, size in sizes))


def _operations(whole: Footprint, text: ScoredText) -> float:
    return whole.flops_per_token * text.domains * text.tokens


def _as_a_whole(whole: Footprint, text: ScoredText) -> Way:
    device = whole.weight_bytes + _FLOAT32 * whole.parameters + whole.pass_bytes
    return Way("whole", device, 0, 0, whole.weight_bytes, _operations(whole, text))


def _in_shards(
    run: DatalessModel, whole: Footprint, text: ScoredText, parts: list[_Part]
) -> Iterator[tuple[Way, Callable[[], int]]]:
    """By 2, 4, 8 ... ranks: what each way takes without the pass, and what that takes beside it."""
    outside, layer = parts[0], max(parts[1:], key=lambda part: part.weights)
    gathered = outside.weights + layer.weights + _FLOAT32 * outside.parameters
    shared = whole.weight_bytes + _FLOAT32 * whole.parameters

    @cache
    def pass_bytes(sequences: int) -> int:
        return run.footprint(sequences, text.length, text.max_logits).pass_bytes

    count = 2
    while count <= _MOST_RANKS:
        held = -(-shared // count) + gathered
        way = Way(f"{count} ranks", held, whole.weight_bytes, 0, whole.weight_bytes, _operations(whole, text))
        yield way, partial(pass_bytes, -(-text.sequences // count))
        count *= 2


def _enough(ways: Iterable[tuple[Way, Callable[[], int]]], judged: Callable[[Way], Way], *, known: bool) -> Way:
    """The first that fits, or the last; the pass is run only where the rest fits."""
    for way, pass_bytes in ways:
        if judged(way).fits if known else way.name == f"{_RANKS} ranks":
            found = judged(replace(way, device=way.device + pass_bytes()))
            if found.fits or not known:
                return found
    return judged(replace(way, device=way.device + pass_bytes()))


def _by_layer(run: DatalessModel, whole: Footprint, text: ScoredText, parts: list[_Part]) -> Way:
    config: Any = run.model.config
    width = config.get_text_config().hidden_size
    states = text.tokens * width * run.model.dtype.itemsize
    held = max(part.weights + _FLOAT32 * part.parameters for part in parts)
    largest = max(range(len(parts) - 1), key=lambda number: parts[1 + number].weights)

    def begin(model: PreTrainedModel) -> Callable[[], object]:
        head = run.head(text.max_logits)
        ids = torch.zeros((text.sequences, text.length), dtype=torch.int64)

        def through_one() -> None:
            with _one_layer(model, largest):
                head.text_loss(ids).backward()  # type: ignore[no-untyped-call]

        return through_one

    return Way(
        "layer by layer",
        held + run.takes(begin),
        2 * states,
        states * len(parts),
        whole.weight_bytes * (1 + 2 * text.domains),
        _operations(whole, text) * 4 / 3,
    )


@contextmanager
def _one_layer(model: PreTrainedModel, number: int) -> Iterator[None]:
    """Inside the block every other layer hands on the states that it is given, in the form of its own output."""

    def handing_on(forward: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **named: Any) -> Any:
            states = arguments[0] if arguments else named["hidden_states"]
            with torch.no_grad():
                own = forward(*arguments, **named)
            return states if isinstance(own, Tensor) else (states, *own[1:])

        return instead

    others = [layer for index, layer in enumerate(decoder_layers(model)) if index != number]
    for layer in others:
        layer.forward = handing_on(layer.forward)
    try:
        yield
    finally:
        for layer in others:
            del layer.forward  # what it had from its class shows again
