"""The rank of a spot among draws, by hand and over many spots that are draws themselves."""

import math

import numpy as np
import pytest

from codingspot.evaluation.standing import DRAWS_NEEDED, LEVEL, selectivity_by_losses, stand


def test_selectivity_is_the_mean_rise_on_code_less_the_largest_on_general_text() -> None:
    assert selectivity_by_losses([1.0, 2.0], [0.1, 0.4]) == pytest.approx(1.5 - 0.4)
    assert selectivity_by_losses([0.0], [-0.2]) == pytest.approx(0.2)
    assert selectivity_by_losses([9.0], [math.log(2)]) == pytest.approx(9 - math.log(2))
    assert selectivity_by_losses([9.0], [0.1, math.log(2) + 1e-9]) == -math.inf
    assert selectivity_by_losses([math.inf], [math.inf]) == -math.inf
    assert selectivity_by_losses([math.inf], [0.0]) == math.inf
    assert selectivity_by_losses([], [1.0]) is None
    assert selectivity_by_losses([1.0], []) is None


def test_p_counts_draws_that_reach_the_spot_each_at_its_own_best_dose() -> None:
    standing = stand([0.2, 0.5], [[0.1, 0.5], [0.6, 0.0], [0.4, 0.4]])
    assert (standing.spot, standing.draws) == (0.5, (0.5, 0.6, 0.4))
    assert standing.p_value == 3 / 4
    assert stand([1.0], [[0.0]] * 3).p_value == 1 / 4
    assert stand([-math.inf], [[-math.inf]] * 19).p_value == 1.0


def test_nineteen_draws_reach_five_percent_and_eighteen_do_not() -> None:
    assert (LEVEL, DRAWS_NEEDED) == (0.05, 19)
    for draws, reaches in ((18, False), (19, True), (40, True)):
        standing = stand([1.0], [[0.0]] * draws)
        assert standing.can_reach_level is reaches
        assert standing.outside is reaches
    assert not stand([1.0], [[0.0]] * 18 + [[1.0]]).outside


def test_the_choice_of_a_dose_does_not_raise_the_rate_of_false_findings() -> None:
    """Of 4,000 spots that are draws, at most one in twenty stands outside, whatever doses there are to choose from."""
    generator = np.random.default_rng(0)
    curves = generator.normal(size=(4000, 20, 6)).cumsum(axis=2)
    found = sum(stand(spot, draws).outside for spot, *draws in curves.tolist())
    assert found / 4000 == pytest.approx(0.05, abs=0.01)
