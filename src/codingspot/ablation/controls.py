"""Controls: random parameters in the place of a spot's, in the same number at every k.

A control is a Spot of the same length that shares no parameter with the one it controls for, and whose prefix at k is
the control of the spot's prefix at k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from codingspot.errors import SelectionError
from codingspot.models import role_of
from codingspot.spot import Spot
from codingspot.spot.candidates import names_in

Interval = tuple[int, int]
"""Positions from the first number up to, but not including, the second."""


def uniform_control(spot: Spot, *, seed: int, scope: str = "all") -> Spot:
    """As many parameters as the spot has, uniform without replacement from those in scope that it leaves.

    Raises:
        SelectionError: the scope has too few parameters outside the spot.
        StudyError: the scope is unknown.
    """
    intervals = [_interval(spot, name) for name in names_in(spot.layout, scope)]
    taken = np.sort(spot.positions.numpy())
    drawn = _draw(intervals, len(spot), taken, np.random.default_rng(seed))
    if len(drawn) < len(spot):
        raise SelectionError(
            f"scope {scope!r} leaves {len(drawn)} parameters outside the spot, fewer than its {len(spot)}; lower k or "
            "draw the control from a wider scope"
        )
    return _control(spot, drawn, {"name": "uniform", "scope": scope, "seed": seed})


def matched_control(spot: Spot, *, seed: int) -> Spot:
    """For each of the spot's parameters in order, a random one of the same tensor that the spot leaves.

    So every prefix of the control has as many parameters in each tensor as the spot's. Where a tensor has too few left
    (a spot that takes most of a small one), the rest come from tensors of the same kind, then from anywhere; their
    number is ``unmatched`` in the metadata.

    Raises:
        SelectionError: the model has too few parameters outside the spot.
    """
    generator = np.random.default_rng(seed)
    taken = np.sort(spot.positions.numpy())
    drawn = np.full(len(spot), -1, dtype=np.int64)
    located = spot.layout.locate(spot.positions)
    for name, group in located.items():
        found = _draw([_interval(spot, name)], len(group.source), taken, generator)
        drawn[group.source.numpy()[: len(found)]] = found
    unmatched = int((drawn < 0).sum())
    for name, group in located.items():
        kind = role_of(name).kind
        same_kind = [other for other in spot.layout.names if role_of(other).kind == kind]
        _fill(drawn, group.source.numpy(), [_interval(spot, other) for other in same_kind], taken, generator)
    _fill(drawn, np.arange(len(spot)), [(0, spot.layout.total)], taken, generator)
    if (drawn < 0).any():
        raise SelectionError(
            f"the spot has {len(spot)} of the model's {spot.layout.total} parameters, more than it leaves for a "
            "control; lower k"
        )
    return _control(spot, drawn, {"name": "matched", "seed": seed, "unmatched": unmatched})


def _fill(
    drawn: np.ndarray,
    source: np.ndarray,
    intervals: Sequence[Interval],
    taken: np.ndarray,
    generator: np.random.Generator,
) -> None:
    """Draw, in place, for those of ``source`` that have none yet, sparing the spot and what is drawn."""
    open_ones = source[drawn[source] < 0]
    if len(open_ones):
        spared = np.sort(np.concatenate([taken, drawn[drawn >= 0]]))
        found = _draw(intervals, len(open_ones), spared, generator)
        drawn[open_ones[: len(found)]] = found


def _draw(intervals: Sequence[Interval], n: int, taken: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Up to n distinct positions in the intervals and not in ``taken`` (sorted), uniform, in the order drawn.

    Takes memory for a few times n and ``taken``, not for the intervals.
    """
    starts = np.array([start for start, _ in intervals], dtype=np.int64)
    sizes = np.array([stop - start for start, stop in intervals], dtype=np.int64)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    free = total - sum(int(np.subtract(*np.searchsorted(taken, (stop, start)))) for start, stop in intervals)
    n = min(n, free)
    if 2 * n > free:
        everything = np.concatenate([np.arange(start, stop) for start, stop in intervals])
        return generator.permutation(everything[~_contains(taken, everything)])[:n]
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < n:
        # At least half of the free positions are still undrawn, so a repeat is drawn again at little cost.
        index = generator.integers(0, total, size=16 + 2 * (n - len(drawn)) * total // free)
        interval = np.searchsorted(ends, index, side="right")
        found = index - (ends - sizes)[interval] + starts[interval]
        together = np.concatenate([drawn, found[~_contains(taken, found)]])
        _, first = np.unique(together, return_index=True)
        drawn = together[np.sort(first)][:n]
    return drawn


def _contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which of the values are in a sorted array."""
    if len(ordered) == 0:
        return np.zeros(len(values), dtype=bool)
    index = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[index] == values)


def _interval(spot: Spot, name: str) -> Interval:
    found = spot.layout.slice(name)
    return found.start, found.stop


def _control(spot: Spot, positions: np.ndarray, control: dict[str, object]) -> Spot:
    return Spot(
        positions=torch.from_numpy(positions),
        scores=torch.zeros(len(positions)),
        layout=spot.layout,
        metadata={**spot.metadata, "control": control},
    )
