"""Scores at the positions of many selections, from one pass over a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from codingspot.importance import ScoreStore

# Scores of one domain read at a time.
_RUN = 1 << 22


class Gathered(NamedTuple):
    """Signed scores of some of a selection's parameters.

    ``selection`` is its index among those asked for; ``rows`` say which of its positions these are; ``scores`` has a
    row for each domain of the store.
    """

    selection: int
    rows: Int64[Tensor, " n"]
    scores: Float32[Tensor, "domains n"]


def gather(
    store: ScoreStore,
    selections: Sequence[Int64[Tensor, " _"]],
    *,
    run: int = _RUN,
    progress: Callable[[float], None] = lambda _: None,
) -> Iterator[Gathered]:
    """Every selection's scores, part by part: each part of the store that holds any of them is read once.

    ``progress`` hears the share of the store that each step took.
    """
    layout = store.layout
    runs = [
        (name, start, min(size, start + run), layout.slice(name).start + start)
        for name, size in layout.sizes.items()
        for start in range(0, size, run)
    ]
    edges = torch.tensor([position for *_, position in runs] + [layout.total])
    orders = [torch.from_numpy(np.argsort(positions.numpy(), kind="stable")) for positions in selections]
    bounds = [
        torch.searchsorted(positions[order], edges).tolist()
        for positions, order in zip(selections, orders, strict=True)
    ]
    for number, (name, start, stop, position) in enumerate(runs):
        inside = [order[ends[number] : ends[number + 1]] for order, ends in zip(orders, bounds, strict=True)]
        if any(map(len, inside)):
            block = torch.stack([store.part(domain.name, name, start, stop) for domain in store.domains])
            for selection, rows in enumerate(inside):
                if len(rows):
                    yield Gathered(selection, rows, block[:, selections[selection][rows] - position])
        progress((stop - start) / layout.total)
