"""Exact selection of the n best of any number of keys, streamed, in memory that does not grow with the model.

1. Histogram of the high 16 bits of every eligible key. Float32 bits order as their values do, negative ones in reverse.
   The bin that holds the n-th best key is the boundary bin. As soon as n keys are counted, those below the boundary bin
   so far can't be among the n best, and are no longer counted: one comparison passes over almost all the rest.
2. Histogram of the low 16 bits inside the boundary bin. This gives the n-th best key exactly.
3. Where more keys equal it than are wanted, those at the smallest positions are taken.
4. Several ranks may each pass over a part of the keys, one rank's positions after the other's: they add up their
   histograms, and send the first of them what they select.

The n-th best (key, position) is the :class:`Cut`; whatever is not below it is selected. -0 counts as 0; infinities
are ordered; NaN is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from codingspot.errors import NonFiniteError, SelectionError
from codingspot.models.ranks import ALONE, Ranks

_BINS = 1 << 16
_LAST_POSITION = np.iinfo(np.int64).max
# Bins of the high half, best first: the sign bit makes the upper half of the raw values the negative numbers.
_BEST_FIRST = np.concatenate([np.arange(_BINS // 2 - 1, -1, -1), np.arange(_BINS // 2, _BINS)])
# Bins from these to the next sign hold infinity or NaN.
_POSITIVE_NAN, _NEGATIVE_NAN = 0x7F80, 0xFF80


@dataclass(frozen=True)
class KeyChunk:
    """Keys, higher is better, of consecutive positions in one tensor; ``eligible`` is None where all are."""

    name: str
    start: int
    keys: Float32[Tensor, " n"]
    eligible: Bool[Tensor, " n"] | None = None


KeySource = Callable[[], Iterable[KeyChunk]]
"""Starts a pass over all keys, or this rank's, in order of position. It is called several times and must give the same
keys."""


@dataclass(frozen=True)
class Ranking:
    """Positions in one global order, best first, and their keys."""

    positions: Int64[Tensor, " n"]
    keys: Float32[Tensor, " n"]


@dataclass(frozen=True)
class Cut:
    """The last of the n best: its key and position. Keys equal to it are kept up to that position."""

    key: float
    position: int

    def keeps(self, keys: Float32[Tensor, " n"], start: int) -> Bool[Tensor, " n"]:
        """Which of the keys, at consecutive positions from ``start``, are among the n best."""
        kept = keys > self.key
        ties = max(0, min(len(keys), self.position - start + 1))
        kept[:ties] |= keys[:ties] == self.key
        return kept


def count_for(k_percent: float, total: int) -> int:
    """How many parameters k percent of ``total`` are: rounded, at least one.

    Raises:
        SelectionError: k is not above 0 and at most 100.
    """
    if not 0 < k_percent <= 100:
        raise SelectionError(
            f"k is {k_percent}, but k is in percent of all the model's parameters: above 0 and at most 100"
        )
    return max(1, round(k_percent / 100 * total))


def find_cut(source: KeySource, n: int, ranks: Ranks = ALONE) -> Cut:
    """The n-th best eligible key of all ``ranks``, and how far keys equal to it are taken.

    Raises:
        SelectionError: fewer than n keys are eligible, or n is not positive.
        NonFiniteError: an eligible key is NaN.
    """
    if n < 1:
        raise SelectionError(f"{n} parameters were asked for; ask for at least one")
    high, above = _boundary(_added(_high_histogram(source, n), ranks), _BEST_FIRST, n)
    # Among negative numbers, larger bits are smaller values.
    low_best_first = np.arange(_BINS) if high >= _BINS // 2 else np.arange(_BINS - 1, -1, -1)
    own_counts = _low_histogram(source, high)
    low_counts = _added(own_counts, ranks)
    low, above_inside = _boundary(low_counts, low_best_first, n - above)
    key = float(np.array(high << 16 | low, dtype=np.uint32).view(np.float32))
    wanted_ties = n - above - above_inside
    if wanted_ties == low_counts[low]:
        return Cut(key, _LAST_POSITION)
    number = wanted_ties - sum(ranks.each(int(own_counts[low]))[: ranks.own])
    has_it = 0 < number <= own_counts[low]
    return Cut(key, sum(ranks.each(_position_of_tie(source, key, number) if has_it else 0)))


def select_top(source: KeySource, n: int, ranks: Ranks = ALONE) -> Ranking:
    """The n best eligible keys, best first; of equal keys the one at the smaller position is first.

    Takes three passes over the keys (four where ties are split) and memory for n positions and keys. Of several
    ``ranks``, each passes over its own part of the keys; the first has the ranking, the others an empty one.

    Raises:
        SelectionError: fewer than n keys are eligible, or n is not positive.
        NonFiniteError: an eligible key is NaN.
    """
    own = _collect(source, find_cut(source, n, ranks), n)
    positions, keys = (ranks.to_first(torch.from_numpy(each)).numpy() for each in own)
    order = _best_first(keys)
    return Ranking(torch.from_numpy(positions[order]), torch.from_numpy(keys[order]))


def _collect(source: KeySource, cut: Cut, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions, in order, and keys of the n eligible keys, or this rank's, that are not below the cut; -0 made 0."""
    positions, keys = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.float32)
    filled = 0
    for chunk in source():
        values = chunk.keys.numpy()
        index = np.flatnonzero(values >= cut.key)
        index = index[(values[index] > cut.key) | (index <= cut.position - chunk.start)]
        if chunk.eligible is not None:
            index = index[chunk.eligible.numpy()[index]]
        part = slice(filled, filled + len(index))
        positions[part] = index + chunk.start
        keys[part] = values[index] + np.float32(0)
        filled = part.stop
    return positions[:filled], keys[:filled]  # what was not written to takes no memory


def select_per_tensor(sources: Mapping[str, KeySource], n: int, ranks: Ranks = ALONE) -> Ranking:
    """n positions ordered by their rank in their own tensor as a share of its eligible keys.

    The j-th best of a tensor with c eligible keys has share j / c. So the positions whose share is at most k percent
    are the best floor(k / 100 * c) of each tensor; equal shares are ordered by position. Of ``ranks`` see
    :func:`select_top`.

    Raises:
        SelectionError: fewer than n keys are eligible in all.
        NonFiniteError: an eligible key is NaN.
    """
    own = np.array([sum(_eligible_count(chunk) for chunk in source()) for source in sources.values()], dtype=np.int64)
    counts = dict(zip(sources, _added(own, ranks).tolist(), strict=True))
    total = sum(counts.values())
    if total < n:
        raise _too_few(total, n)
    shares, rankings = [], []
    for name, count in counts.items():
        # No more of a tensor can be among the n best shares: rounding down loses less than one in each tensor.
        wanted = min(count, (n + len(counts)) * count // total + 1)
        if wanted:
            rankings.append(select_top(sources[name], wanted, ranks))
            shares.append(torch.arange(1, len(rankings[-1].keys) + 1, dtype=torch.float64) / count)
    positions = torch.cat([ranking.positions for ranking in rankings])
    keys = torch.cat([ranking.keys for ranking in rankings])
    order = torch.from_numpy(np.lexsort((positions.numpy(), torch.cat(shares).numpy()))[:n])
    return Ranking(positions[order], keys[order])


def _added(counts: np.ndarray, ranks: Ranks) -> np.ndarray:
    return ranks.added(torch.from_numpy(counts)).numpy()


def _eligible_count(chunk: KeyChunk) -> int:
    return len(chunk.keys) if chunk.eligible is None else int(chunk.eligible.sum())


def _high_histogram(source: KeySource, n: int) -> np.ndarray:
    """Counts by bin, right for every bin that may hold one of the n best."""
    counts = np.zeros(_BINS, dtype=np.int64)
    counted, floor = 0, -np.inf
    for chunk in source():
        values = _not_below(chunk, floor)
        found = np.bincount(_halves(values)[1], minlength=_BINS)
        if found[_POSITIVE_NAN : _BINS // 2].any() or found[_NEGATIVE_NAN:].any():
            _refuse_nan(chunk, values)
        counts += found
        counted += len(values)
        if counted >= n:
            floor = _least_in(_boundary(counts, _BEST_FIRST, n)[0])
    return counts


def _low_histogram(source: KeySource, high: int) -> np.ndarray:
    counts = np.zeros(_BINS, dtype=np.int64)
    for chunk in source():
        low, highs = _halves(_not_below(chunk, _least_in(high)))
        counts += np.bincount(low[highs == high], minlength=_BINS)
    return counts


def _not_below(chunk: KeyChunk, floor: float) -> np.ndarray:
    """The eligible keys that are not below ``floor``, NaN among them; -0 made 0."""
    values = chunk.keys.numpy()
    if floor > -np.inf or chunk.eligible is not None:
        kept = ~(values < floor)
        if chunk.eligible is not None:
            kept &= chunk.eligible.numpy()
        values = values[np.flatnonzero(kept)]
    with np.errstate(invalid="ignore"):  # NaN is refused later, by name
        return values + np.float32(0)


def _least_in(high: int) -> float:
    """The smallest number whose high 16 bits are these."""
    if high >= _NEGATIVE_NAN:
        return -np.inf
    bits = high << 16 | (0xFFFF if high >= _BINS // 2 else 0)
    return float(np.array(bits, dtype=np.uint32).view(np.float32))


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high 16 bits of float32 values, without a copy."""
    halves = values.astype("<f4", copy=False).view("<u2")
    return halves[0::2], halves[1::2]


def _boundary(counts: np.ndarray, best_first: np.ndarray, n: int) -> tuple[int, int]:
    """The bin that holds the n-th best, and how many are in better bins."""
    reached = np.cumsum(counts[best_first])
    if reached[-1] < n:
        raise _too_few(int(reached[-1]), n)
    index = int(np.searchsorted(reached, n))
    found = int(best_first[index])
    return found, int(reached[index] - counts[found])


def _position_of_tie(source: KeySource, key: float, number: int) -> int:
    """Position of the ``number``-th eligible key equal to ``key``, counted from 1."""
    for chunk in source():
        equal = chunk.keys == key
        if chunk.eligible is not None:
            equal &= chunk.eligible
        index = equal.nonzero()
        if number <= len(index):
            return chunk.start + int(index[number - 1])
        number -= len(index)
    raise SelectionError("the keys changed between two passes; a key source must give the same keys every time")


def _best_first(values: np.ndarray) -> np.ndarray:
    """Indices that put float32 values in descending order, equal ones in the order given."""
    bits = values.view(np.uint32)
    descending = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF))
    high, low = (descending >> 16).astype(np.uint16), descending.astype(np.uint16)
    del descending
    index_type = np.int32 if len(values) <= np.iinfo(np.int32).max else np.int64  # half the memory of most spots
    # By the low, then by the high half: numpy sorts 16-bit integers by radix, stably.
    by_low = np.argsort(low, kind="stable").astype(index_type)
    return by_low[np.argsort(high[by_low], kind="stable")]


def _refuse_nan(chunk: KeyChunk, values: np.ndarray) -> None:
    if np.isnan(values).any():
        raise NonFiniteError(f"the scores of {chunk.name} hold NaN; score the model again, in float32")


def _too_few(eligible: int, n: int) -> SelectionError:
    return SelectionError(
        f"{eligible} parameters are eligible, fewer than the {n} asked for; lower k or widen the scope"
    )
