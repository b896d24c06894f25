"""Ranks of keys that may be tied: exact ones of keys in memory, and streamed ones whose memory is bounded."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from codingspot.errors import NonFiniteError
from codingspot.models.ranks import ALONE, Ranks
from codingspot.spot.selection import KeySource

_HALF = 16
_BINS = 1 << _HALF


def shared_ranks(keys: Float32[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Rank of every key, from 1 for the largest to 0; equal keys share their mean rank, minus infinity has 0."""
    from scipy.stats import rankdata  # it takes seconds to load

    ranks = torch.from_numpy((rankdata(keys.numpy()) - 1) / max(1, len(keys) - 1))
    return ranks.masked_fill(keys == -torch.inf, 0.0)


class RankTable:
    """Where a key stands among a source's eligible ones, from a histogram of float32 bits in bounded memory.

    1. Float32 bits are made to order as their values do. Their upper half counts into 65,536 bins, each 1/128 of a
       magnitude wide.
    2. With ``divisions`` a second pass divides every bin into 1 to 65,536 equal ones, so many by the share of the keys
       that it holds; all together they are at most twice ``divisions`` more.
    3. Inside a bin shares are linear. A bin of one value has the mean rank of the keys that are equal to it.

    The table depends on the keys alone, not on how they are cut into chunks or lie with several ``ranks``, each of
    which counts its own.

    Raises:
        NonFiniteError: an eligible key is NaN.
    """

    def __init__(self, source: KeySource, divisions: int = 0, *, ranks: Ranks = ALONE) -> None:
        self._ranks = ranks
        self._divide(np.zeros(_BINS, dtype=np.int64))
        self._count(source)
        if divisions:
            _, least = np.frexp(self._counts * divisions // self._total)
            self._divide(least.clip(max=_HALF).astype(np.int64))
            self._count(source)

    def above(self, keys: Float32[Tensor, " n"]) -> np.ndarray:
        """Share of the eligible keys that are larger than each of these, float64 [n]."""
        bins, lower = self._places(keys)
        return np.asarray((self._above[bins] + self._counts[bins] * (1 - lower)) / self._total)

    def ranks(self, keys: Float32[Tensor, " n"]) -> np.ndarray:
        """Ranks of these, which are eligible keys, among all, from 1 for the largest to 0, float64 [n].

        They are those of :func:`shared_ranks` where a bin holds one key, or one value.
        """
        bins, lower = self._places(keys)
        below = self._total - self._above[bins] - self._counts[bins]
        return np.asarray((below + (self._counts[bins] - 1) * lower) / max(1, self._total - 1))

    def _places(self, keys: Float32[Tensor, " n"]) -> tuple[np.ndarray, np.ndarray]:
        """The bin of each key, and how far up inside it the key is, from 0 to 1."""
        ordered = _ordered(keys.numpy())
        width = 1 << self._shifts[ordered >> _HALF]
        return self._bins(ordered), np.where(width > 1, (ordered & (width - 1)) / width, 0.5)

    def _divide(self, bits: np.ndarray) -> None:
        """Let each of the 65,536 bins be 2 to the power of so many ``bits``."""
        self._shifts = _HALF - bits
        self._starts = np.cumsum(1 << bits) - (1 << bits)
        self._size = int((1 << bits).sum())

    def _count(self, source: KeySource) -> None:
        self._counts = np.zeros(self._size, dtype=np.int64)
        for chunk in source():
            keys = (chunk.keys if chunk.eligible is None else chunk.keys[chunk.eligible]).numpy()
            if np.isnan(keys).any():
                raise NonFiniteError(f"the scores of {chunk.name} hold NaN; score the model again, in float32")
            np.add.at(self._counts, self._bins(_ordered(keys)), 1)  # costs as many steps as keys, not as bins
        self._counts = self._ranks.added(torch.from_numpy(self._counts)).numpy()
        self._total = max(1, int(self._counts.sum()))
        self._above = self._total - np.cumsum(self._counts)

    def _bins(self, ordered: np.ndarray) -> np.ndarray:
        high = ordered >> _HALF
        return np.asarray(self._starts[high] + ((ordered & (_BINS - 1)) >> self._shifts[high]))


def _ordered(keys: np.ndarray) -> np.ndarray:
    """Integers from 0 to 2^32 that order as float32 keys do; -0 counts as 0."""
    bits = (keys + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.int64)
