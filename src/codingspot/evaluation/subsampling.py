"""Stratified sub-samples of a task's items, each item equally likely.

Items are put in random order, stratum by stratum, and every (N/n)-th is taken from a random start (systematic sampling:
Cochran 1977, Sampling Techniques, chapter 8). A stratum's number of items is then its proportional share, rounded up or
down at random, so that the plain mean of the outcomes is an unbiased estimate of the whole task's.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence

import numpy as np


def stratified(strata: Sequence[Hashable], count: int, *, seed: int, name: str = "") -> list[int]:
    """Draw ``count`` items without replacement, in proportion to the strata.

    Args:
        strata: stratum of each item.
        count: how many items; all of them where there are no more.
        seed: of the draw.
        name: makes draws of differently named tasks differ under one seed.

    Returns:
        Indices into ``strata``, in increasing order.
    """
    total = len(strata)
    if count >= total:
        return list(range(total))
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    groups: dict[Hashable, list[int]] = {}
    for index in generator.permutation(total).tolist():
        groups.setdefault(strata[index], []).append(index)
    ordered = [index for group in groups.values() for index in group]
    start = int(generator.integers(total))
    return sorted(ordered[(start + step * total) // count] for step in range(count))
