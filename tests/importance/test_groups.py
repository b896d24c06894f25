"""Which groups ranks make, and which domains each scores."""

import pytest

from codingspot.errors import StudyError
from codingspot.importance.groups import number_of_groups, share_of
from codingspot.models.ranks import Ranks


@pytest.mark.parametrize(
    ("domains", "most", "ranks", "groups"),
    [(13, 4, 4, 4), (13, 4, 8, 4), (12, 4, 3, 3), (13, 13, 6, 1), (13, 20, 6, 1), (13, None, 6, 1), (0, 4, 1, 1)],
)
def test_no_group_has_more_domains_than_asked_for(domains: int, most: int | None, ranks: int, groups: int) -> None:
    assert number_of_groups(domains, most, ranks) == groups


@pytest.mark.parametrize(
    ("domains", "most", "ranks", "why"),
    [
        # 3 groups by 5 or 6 a group, 2 by 7 to 12, 1 by 13 or more; no number makes 6
        (13, 4, 6, "13 domains, 4 a group, make 4 groups, .* a multiple of that, not 6; .* 5, 7 or 13$"),
        (13, 4, 1, "make 4 groups, .* not 1; start as many by torchrun, or give --domains-per-group 13$"),
    ],
)
def test_ranks_that_cannot_be_divided_are_told_what_would_fit(domains: int, most: int, ranks: int, why: str) -> None:
    with pytest.raises(StudyError, match=why):
        number_of_groups(domains, most, ranks)


@pytest.mark.parametrize(
    ("domains", "count", "size", "shares"),
    [("abcdefg", 6, 2, ["abc", "de", "fg"]), ("abc", 2, 1, ["ab", "c"]), ("abc", 2, 2, ["abc"]), ("ab", 2, 1, "ab")],
)
def test_shares_are_consecutive_and_even(domains: str, count: int, size: int, shares: list[str]) -> None:
    own = [share_of(domains, Ranks(each, count), Ranks(each % size, size)) for each in range(count)]
    assert own[::size] == list(shares)
    assert all(own[each] == own[each - each % size] for each in range(count))


def test_a_group_has_a_domain() -> None:
    with pytest.raises(StudyError, match="2 domains can't be divided among 3 groups"):
        share_of("ab", Ranks(0, 3), Ranks())
