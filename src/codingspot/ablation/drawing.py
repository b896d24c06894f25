"""Drawing positions at random without replacement, sparing some, in memory for what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Interval = tuple[int, int]
"""Positions from the first number up to, but not including, the second."""


def draw(intervals: Sequence[Interval], n: int, taken: np.ndarray, generator: np.random.Generator) -> np.ndarray:
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
        return generator.permutation(everything[~contains(taken, everything)])[:n]
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < n:
        # At least half of the free positions are still undrawn, so a repeat is drawn again at little cost.
        index = generator.integers(0, total, size=16 + 2 * (n - len(drawn)) * total // free)
        interval = np.searchsorted(ends, index, side="right")
        found = index - (ends - sizes)[interval] + starts[interval]
        together = np.concatenate([drawn, found[~contains(taken, found)]])
        _, first = np.unique(together, return_index=True)
        drawn = together[np.sort(first)][:n]
    return drawn


def contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which of the values are in a sorted array."""
    if len(ordered) == 0:
        return np.zeros(len(values), dtype=bool)
    index = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[index] == values)
