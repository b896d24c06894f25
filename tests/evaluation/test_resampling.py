"""Figures of every cell in every resample: by hand where they can't vary, and against their definition."""

import numpy as np
import pandas as pd
import pytest

from codingspot.evaluation.resampling import Resampling

OUTCOMES = {
    "original": {"code": [1, 1, 1, 0], "facts": [1, 1, 1, 1, 1, 0], "coin": [1, 0]},
    "edited": {"code": [1, 0, 0, 0], "facts": [1, 0, 1, 1, 1, 0], "coin": [0, 0]},
}


@pytest.fixture
def resampling() -> Resampling:
    rows = [
        (cell, task, item, float(outcome))
        for cell, tasks in OUTCOMES.items()
        for task, values in tasks.items()
        for item, outcome in enumerate(values)
    ]
    outcomes = pd.DataFrame(rows, columns=["cell", "task", "item", "outcome"])
    return Resampling(outcomes, original="original", chance={"code": 0.0, "facts": 0.25, "coin": 0.5})


def test_exact_figures_by_hand(resampling: Resampling) -> None:
    assert resampling.cells == ["original", "edited"]
    assert resampling.tasks == ["code", "facts", "coin"]
    assert resampling.rate("code").exact == pytest.approx([0.75, 0.25])
    assert resampling.difference("code").exact == pytest.approx([0, -0.5])
    facts = resampling.retention("facts")
    assert facts is not None
    assert facts.exact == pytest.approx([1, (4 / 6 - 0.25) / (5 / 6 - 0.25)])
    rates = resampling.rates(["code", "facts"])
    assert rates is not None
    assert rates.exact == pytest.approx([(0.75 + 5 / 6) / 2, (0.25 + 4 / 6) / 2])


def test_a_task_at_chance_has_no_retention_and_none_of_nothing(resampling: Resampling) -> None:
    assert resampling.retention("coin") is None
    both, one = resampling.retentions(["coin", "code"]), resampling.retention("code")
    assert both is not None
    assert one is not None
    np.testing.assert_array_equal(both.drawn, one.drawn)
    assert resampling.retentions(["coin"]) is None
    assert resampling.rates([]) is None


def test_rates_of_whole_outcomes_are_exact_shares(resampling: Resampling) -> None:
    """And so the same in whatever order threads add them up."""
    drawn = resampling.rate("facts").drawn
    assert set(np.unique(drawn)) <= {count / 6 for count in range(7)}


def test_every_resample_has_as_many_items_and_the_same_for_all_cells(resampling: Resampling) -> None:
    rates, difference = resampling.rate("code").drawn, resampling.difference("code").drawn
    assert rates.shape == (2, 1000)
    assert set((rates * 4).ravel()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    # Whatever is drawn, the edited model gets nothing right that the original gets wrong.
    assert (difference[1] <= 0).all()
    np.testing.assert_array_equal(difference[0], 0)
    assert rates.mean(axis=1) == pytest.approx([0.75, 0.25], abs=0.03)
