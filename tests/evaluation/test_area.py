"""The area of specificity curves, by hand and against a plain integral."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.errors import EvaluationError
from codingspot.evaluation.area import curve_area, specificity_areas
from codingspot.evaluation.resampling import Resampling

retentions = st.lists(st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)), min_size=1, max_size=6)


def area(*points: tuple[float, float]) -> float:
    general, code = np.array([(1.0, 1.0), *points]).T
    return float(curve_area(general, code))


def test_areas_by_hand() -> None:
    assert area() == 0
    assert area((1.0, 0.0)) == 1
    assert area((0.9, 0.0)) == pytest.approx(0.9)
    assert area((0.5, 0.5)) == pytest.approx(0.25)
    assert area((0.0, 0.0)) == 0
    assert area((1.0, 0.4), (0.5, 0.0)) == pytest.approx(0.5 * 0.6 + 0.5 * 1)
    assert area((0.5, 1.0)) == 0  # takes general ability alone
    assert area((1.3, -0.2)) == 1  # clipped


@given(retentions)
def test_against_a_fine_integral(points) -> None:
    clipped = np.clip(np.array([(1.0, 1.0), *points]), 0, 1)
    grid = (np.arange(4000) + 0.5) / 4000
    expected = np.mean([1 - clipped[clipped[:, 0] >= g, 1].min() for g in grid])
    assert area(*points) == pytest.approx(expected, abs=2e-3)


@given(retentions, st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_further_point_never_lowers_it(points, point) -> None:
    assert area(*points, point) >= area(*points) - 1e-12


def rows(cell: str, code: list[int], general: list[int]) -> list[dict[str, object]]:
    return [
        {"cell": cell, "task": task, "item": i, "outcome": float(o)}
        for task, values in (("code", code), ("general", general))
        for i, o in enumerate(values)
    ]


def resampling(outcomes: pd.DataFrame) -> Resampling:
    return Resampling(outcomes, original="original", chance={"code": 0.0, "general": 0.0})


def test_areas_of_results() -> None:
    outcomes = pd.DataFrame(
        rows("original", [1] * 40, [1] * 40)
        + rows("specific", [0] * 40, [1] * 40)
        + rows("both", [0] * 20 + [1] * 20, [0] * 20 + [1] * 20)
    )
    curves = {"specific": ["original", "specific"], "both": ["original", "both"]}
    found = specificity_areas(resampling(outcomes), curves, code=["code"], general=["general"])
    assert found["specific"].value == 1
    assert tuple(found["specific"].interval) == (1, 1)
    assert found["both"].value == pytest.approx(0.25)
    assert found["both"].interval.low < 0.25 < found["both"].interval.high


def test_a_model_at_chance_has_no_curve() -> None:
    outcomes = pd.DataFrame(rows("original", [0] * 9, [1] * 9))
    with pytest.raises(EvaluationError, match="too near chance on every code task"):
        specificity_areas(resampling(outcomes), {"x": ["original"]}, code=["code"], general=["general"])
