import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.evaluation.doses import Crossing, crossing, crossing_interval, next_dose

DOSES = (0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ([False, True, True], Crossing(0.01, 0.1)),
        ([True, True, True], Crossing(None, 0.01)),
        ([False, False, False], Crossing(1.0, None)),
        ([False, True, False], Crossing(0.01, 0.1)),  # what comes after the first doesn't matter
    ],
)
def test_the_first_dose_at_which_a_condition_holds(holds, expected) -> None:
    assert crossing(DOSES, holds) == expected


def test_intervals_bracket_the_crossing_in_95_percent_of_resamples() -> None:
    holds = np.zeros((3, 100), dtype=bool)
    holds[1, 50:] = holds[2, :] = True
    assert crossing_interval(DOSES, holds) == (0.01, 1.0)
    holds[2, :3] = False  # never, in three of a hundred
    assert crossing_interval(DOSES, holds) == (0.01, math.inf)
    assert crossing_interval(DOSES, np.ones((3, 10), dtype=bool)) == (0.0, 0.01)


@given(st.floats(-4, 2), st.floats(0.01, 0.6))
def test_bisection_finds_any_onset_to_the_precision_asked(onset_log: float, precision: float) -> None:
    onset, smallest = 10**onset_log, 1e-5
    doses = [0.0025, 0.09, 1.0, 100.0]
    for _ in range(60):
        found = crossing(doses, [k >= onset for k in doses])
        k = next_dose(found, smallest, precision)
        if k is None:
            break
        assert k not in doses
        doses = sorted([*doses, k])
    assert found.past is not None
    below = found.before or smallest
    assert below < onset <= found.past
    # A dose has four digits, so that doses closer than that are not told apart.
    assert math.log10(found.past / below) <= max(precision, 1e-3)


def test_nothing_is_asked_for_where_the_condition_never_holds() -> None:
    assert next_dose(Crossing(1.0, None), 1e-5, 0.1) is None
