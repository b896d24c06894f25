"""Groups of ranks, each of which holds a model and scores some of the domains, at the same time as the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from codingspot.errors import StudyError
from codingspot.models.ranks import Ranks

T = TypeVar("T")


def number_of_groups(domains: int, most: int | None, ranks: int) -> int:
    """How many groups of one size ``ranks`` make so that each scores ``most`` domains or fewer: ceil(domains / most).

    One where None says how many.

    Raises:
        StudyError: the ranks can't be divided into so many.
    """
    groups = 1 if most is None else max(1, -(-domains // most))
    if ranks % groups:
        least = {-(-domains // each): str(each) for each in range(domains, 0, -1)}  # by number of groups
        *others, last = [each for number, each in least.items() if ranks % number == 0][::-1]
        fitting = f"{', '.join(others)} or {last}" if others else last
        raise StudyError(
            f"{domains} domains, {most} a group, make {groups} groups, and the number of ranks must be a multiple of "
            f"that, not {ranks}; start as many by torchrun, or give --domains-per-group {fitting}"
        )
    return groups


def share_of(domains: Sequence[T], ranks: Ranks, group: Ranks) -> Sequence[T]:
    """The domains that this rank's ``group`` scores, of all ``ranks`` one of several of its size.

    Shares are consecutive and differ by one domain at most; no group has more than the first.

    Raises:
        StudyError: there are more groups than domains.
    """
    groups, own = ranks.count // group.count, ranks.own // group.count
    if groups > len(domains):
        raise StudyError(f"{len(domains)} domains can't be divided among {groups} groups; make fewer groups")
    first, end = (-(-len(domains) * number // groups) for number in (own, own + 1))
    return domains[first:end]
