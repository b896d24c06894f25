"""Bootstrap intervals: paired, seeded, and right where the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from codingspot.errors import EvaluationError
from codingspot.evaluation.resampling import Resampling
from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.evaluation.statistics import CellIntervals, bootstrap_intervals, rate_intervals

_ITEMS = 200


def _outcomes(cells: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    parts = [
        Results.of_cell(
            cell,
            [ItemOutcome(task, i, value, "") for task, values in tasks.items() for i, value in enumerate(values)],
        )
        for cell, tasks in cells.items()
    ]
    return Results.concat(parts).outcomes


def _passing(count: int, items: int = _ITEMS) -> list[float]:
    return [1.0] * count + [0.0] * (items - count)


def _intervals(
    cells: dict[str, dict[str, list[float]]],
    *,
    original: str = "original",
    general: tuple[str, ...] = ("a", "b"),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, CellIntervals]:
    chance = {"code": 0.0, "a": 0.25, "b": 0.5}
    resampling = Resampling(_outcomes(cells), original=original, chance=chance, resamples=resamples, seed=seed)
    return bootstrap_intervals(resampling, code=["code"], general=general)


_ORIGINAL = {"code": _passing(180), "a": _passing(150), "b": _passing(160)}
_EDITED = {"code": _passing(20), "a": _passing(100), "b": _passing(160)}
_CELLS = {"original": _ORIGINAL, "edited": _EDITED}


def test_the_interval_of_a_rate_is_that_of_the_binomial() -> None:
    found = _intervals(_CELLS, resamples=4000)["original"].rates["code"]
    spread = 1.96 * math.sqrt(0.9 * 0.1 / _ITEMS)
    assert found.low == pytest.approx(0.9 - spread, abs=0.006)
    assert found.high == pytest.approx(0.9 + spread, abs=0.006)


def test_pairing_narrows_a_difference() -> None:
    """Items lost are 160 of 200 whatever the draw: the difference varies as a binomial of 0.8, no more."""
    found = _intervals(_CELLS, resamples=4000)["edited"].differences["code"]
    spread = 1.96 * math.sqrt(0.8 * 0.2 / _ITEMS)
    assert found.low == pytest.approx(-0.8 - spread, abs=0.008)
    assert found.high == pytest.approx(-0.8 + spread, abs=0.008)


def test_the_same_outcomes_differ_by_exactly_nothing() -> None:
    found = _intervals({"original": _ORIGINAL, "same": _ORIGINAL})["same"]
    assert set(found.differences.values()) == {(0.0, 0.0)}
    assert found.average_difference == (0.0, 0.0)
    assert found.general_retention == pytest.approx((1.0, 1.0))
    assert found.code_retention == pytest.approx((1.0, 1.0))


def test_retention_equals_a_plain_bootstrap() -> None:
    """Retention of each resample, computed item by item."""
    found = _intervals(_CELLS, resamples=3000)["edited"]
    generator = np.random.default_rng(1)
    before, after = np.array(_ORIGINAL["a"]), np.array(_EDITED["a"])
    plain = []
    for _ in range(3000):
        drawn = generator.integers(_ITEMS, size=_ITEMS)
        plain.append((after[drawn].mean() - 0.25) / (before[drawn].mean() - 0.25))
    assert found.retentions["a"] == pytest.approx(np.percentile(plain, [2.5, 97.5]), abs=0.02)


def test_general_retention_resamples_within_each_task() -> None:
    found = _intervals(_CELLS, resamples=3000)["edited"]
    assert found.general_retention is not None
    assert found.retentions["b"] == pytest.approx((1.0, 1.0))  # the same outcomes on b
    low, high = found.retentions["a"] or (0.0, 0.0)
    assert found.general_retention == pytest.approx(((low + 1) / 2, (high + 1) / 2), abs=1e-6)


def test_a_task_near_chance_has_no_retention_and_stays_out_of_the_mean() -> None:
    cells = {
        "original": {**_ORIGINAL, "b": _passing(105)},
        "edited": {**_EDITED, "b": _passing(90)},
    }
    found = _intervals(cells)["edited"]
    assert found.retentions["b"] is None
    assert found.general_retention == found.retentions["a"]


def test_without_general_tasks_there_is_nothing_to_average() -> None:
    found = _intervals(_CELLS, general=())["edited"]
    assert found.average is None
    assert found.general_retention is None
    assert found.code is not None


def test_intervals_follow_the_seed_and_nothing_else() -> None:
    first = _intervals(_CELLS, seed=3)
    assert _intervals(_CELLS, seed=3) == first
    assert _intervals(_CELLS, seed=4) != first
    reordered = {"edited": dict(reversed(_EDITED.items())), "original": _ORIGINAL}
    assert _intervals(reordered, seed=3)["edited"] == first["edited"]


def test_cells_must_have_the_same_items() -> None:
    with pytest.raises(EvaluationError, match="'edited' lacks items of code"):
        _intervals({"original": _ORIGINAL, "edited": {**_EDITED, "code": _passing(10, 100)}})
    with pytest.raises(EvaluationError, match="'first'"):
        _intervals(_CELLS, original="first")


def test_rates_have_wilsons_interval() -> None:
    found = rate_intervals(_outcomes({"x": {"none": [0.0] * 60, "half": _passing(5, 10)}}))
    z = 1.959964
    assert found["none"] == pytest.approx((0.0, z**2 / (60 + z**2)), abs=1e-6)
    # The ends are where |0.5 - p| is z standard errors of p itself.
    for end in found["half"]:
        assert abs(0.5 - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 10), abs=1e-5)
