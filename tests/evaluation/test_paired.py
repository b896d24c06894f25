import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.errors import EvaluationError
from codingspot.evaluation.paired import compare_cells, holm, mcnemar


def test_mcnemar_by_hand() -> None:
    # 9 items differ, 1 of them the other way: p = 2 (1 + 9) / 2^9.
    first, second = [1.0] * 8 + [0.0] + [1.0] * 5, [0.0] * 8 + [1.0] + [1.0] * 5
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (8, 1)
    assert found.p_value == pytest.approx(2 * 10 / 2**9)
    assert mcnemar(first, first).p_value == 1.0


def test_mcnemar_has_its_level_under_the_null() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    draws = generator.random((400, 2, 60)) < 0.7
    rejected = sum(mcnemar(a.astype(float), b.astype(float)).p_value <= 0.05 for a, b in draws)
    assert rejected / 400 <= 0.06  # exact tests are conservative


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(values) -> None:
    corrected = holm(values)
    for p, c in zip(values, corrected, strict=True):
        assert p <= c <= min(1.0, len(values) * max(p, max(values))) + 1e-12
    pairs = sorted(zip(values, corrected, strict=True))
    assert [c for _, c in pairs] == sorted(corrected)


def rows(cell: str, outcomes: list[float]) -> list[dict[str, object]]:
    return [{"cell": cell, "task": "t", "item": i, "outcome": o} for i, o in enumerate(outcomes)]


def test_cells_are_paired_by_item_whatever_their_order() -> None:
    table = pd.DataFrame(rows("a", [1, 1, 1, 0]) + rows("b", [0, 0, 1, 1])[::-1])
    found = compare_cells(table, [("a", "b"), ("b", "a")], ["t"])
    assert found["first_only"].tolist() == [2, 1]
    assert found["items"].tolist() == [4, 4]
    with pytest.raises(EvaluationError, match="different items"):
        compare_cells(table.iloc[:-1], [("a", "b")], ["t"])


def test_after_a_sequential_evaluation_cells_are_compared_on_the_items_both_have() -> None:
    rows = [("a", "t", i, 1.0) for i in range(6)] + [("b", "t", i, 0.0) for i in range(4)]
    outcomes = pd.DataFrame(rows, columns=["cell", "task", "item", "outcome"])
    with pytest.raises(EvaluationError, match="different items"):
        compare_cells(outcomes, [("a", "b")], ["t"])
    table = compare_cells(outcomes, [("a", "b")], ["t"], partial=True)
    assert table[["first_only", "second_only", "items"]].values.tolist() == [[4, 0, 4]]
