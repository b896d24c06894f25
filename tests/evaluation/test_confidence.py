import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codingspot.errors import EvaluationError
from codingspot.evaluation.confidence import BETS, MeanSequence


def _follow(values: np.ndarray, **settings) -> list[tuple[float, float]]:
    sequence = MeanSequence(len(values), resolution=201, **settings)
    found = []
    for value in values:
        sequence.add([value])
        found.append(tuple(sequence.interval))
    return found


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([1.0, 0.0], [57, 3]),
        np.repeat([1.0, 0.0], [20, 40]),
        np.linspace(0, 1, 60) ** 2,
        np.repeat([0.0, 0.02, 1.0], [40, 18, 2]),
    ],
)
def test_the_mean_is_missed_at_any_moment_no_more_often_than_alpha(values) -> None:
    """Coverage over all moments at once, by simulation: 200 random orders at alpha = 0.2."""
    generator, alpha = np.random.default_rng(5), 0.2
    mean, missed = values.mean(), 0
    for _ in range(200):
        intervals = _follow(generator.permutation(values), alpha=alpha)
        missed += any(not low - 1e-9 <= mean <= high + 1e-9 for low, high in intervals)
    # Three standard deviations of a binomial share above alpha.
    assert missed / 200 <= alpha + 3 * (alpha * (1 - alpha) / 200) ** 0.5


def test_capital_by_hand() -> None:
    """Five ones of ten: a mean is excluded as soon as the divided capital of either gambler reaches 2 / alpha."""
    sequence = MeanSequence(10, alpha=0.2, resolution=1001)
    sequence.add([1, 1, 1, 1, 1])

    def excluded(mean: float) -> bool:
        up = np.ones(len(BETS))
        for seen in range(5):  # all of them ones
            expected = (10 * mean - seen) / (10 - seen)
            up *= 1 + np.array(BETS) / expected * (1 - expected)
        return up.mean() >= 2 / 0.2

    low = sequence.interval.low
    assert low == 0.5 or excluded(low - 0.003)
    assert not excluded(low + 0.003)
    assert sequence.interval.high == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-2, 3), min_size=1, max_size=25), st.integers(0, 5))
def test_the_interval_only_shrinks_in_the_end_to_the_mean(values, seed) -> None:
    drawn = np.random.default_rng(seed).permutation(np.array(values))
    intervals = _follow(drawn, low=-2, high=3, alpha=0.05)
    assert intervals[-1] == pytest.approx((np.mean(values), np.mean(values)))
    widths = [high - low for low, high in intervals]
    assert all(width >= -1e-9 for width in widths)


def test_items_may_come_one_by_one_or_together() -> None:
    values = np.random.default_rng(0).random(40)
    whole = MeanSequence(60, resolution=101)
    whole.add(values)
    parts = MeanSequence(60, resolution=101)
    for start in range(0, 40, 7):
        parts.add(values[start : start + 7])
    assert whole.interval == parts.interval


def test_impossible_items_and_settings_are_refused() -> None:
    sequence = MeanSequence(1)
    with pytest.raises(EvaluationError, match="outside"):
        sequence.add([1.5])
    sequence.add([1.0])
    with pytest.raises(EvaluationError, match="one too many"):
        sequence.add([1.0])
    with pytest.raises(EvaluationError, match="alpha"):
        MeanSequence(10, alpha=1.0)
