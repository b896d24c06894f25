"""Figures made from rates, hand-computed and against every derived column that the paper prints."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.evaluation import metrics, published
from codingspot.evaluation.published import CODE_TASK, GENERAL_TASKS, PublishedCell

_PAPER = published.paper_cells()
_SPOTS = published.paper_derived()

# Table 2, random control at 0.25%: average, GTC %, code change %, M_s (not printed). The paper rounds these changes to
# one decimal and prints a zero after it: CodeLlama's -0.5626 stands there as -0.60.
_TABLE_2_RANDOM = {
    "codellama/CodeLlama-7b-Instruct-hf": (41.71, -0.6, -60.1, 42.43),
    "meta-llama/Llama-3.1-8B-Instruct": (65.40, -1.4, -41.9, 21.45),
    "meta-llama/Llama-3.2-3B-Instruct": (57.52, -2.4, -52.3, 20.51),
}
# 'Original' in Tables 1 and 3.
_ORIGINAL_AVERAGES = {
    "codellama/CodeLlama-7b-Instruct-hf": 41.95,
    "meta-llama/Llama-3.1-8B-Instruct": 66.30,
    "meta-llama/Llama-3.2-3B-Instruct": 58.93,
}


def _published(model: str, condition: str, k_percent: float | None) -> PublishedCell:
    (found,) = [c for c in _PAPER if (c.model, c.condition, c.k_percent) == (model, condition, k_percent)]
    return found


def _computed(model: str, condition: str, k_percent: float) -> metrics.CellMetrics:
    return metrics.cell_metrics(
        _published(model, condition, k_percent).rates,
        _published(model, "original", None).rates,
        code=[CODE_TASK],
        general=GENERAL_TASKS,
        chance=dict.fromkeys((*GENERAL_TASKS, CODE_TASK), 0.0),
    )


def _rounded(value: float | None, digits: int = 2) -> float:
    assert value is not None
    return round(value, digits)


@pytest.mark.parametrize("row", _SPOTS, ids=lambda row: f"{row.model.split('/')[1]}-{row.k_percent}")
def test_tables_1_and_3_of_the_paper_are_reproduced(row: published.PublishedDerived) -> None:
    found = _computed(row.model, "spot", row.k_percent)
    assert found.average is not None
    assert _rounded(100 * found.average) == row.average
    assert _rounded(found.general_change_percent) == row.gtc_percent
    assert _rounded(found.code_change_percent) == row.code_change_percent
    assert _rounded(found.m_s) == row.m_s


@pytest.mark.parametrize("model", _TABLE_2_RANDOM)
def test_table_2_of_the_paper_is_reproduced(model: str) -> None:
    average, gtc, code_change, m_s = _TABLE_2_RANDOM[model]
    found = _computed(model, "random", 0.25)
    assert found.average is not None
    assert _rounded(100 * found.average) == average
    assert _rounded(found.general_change_percent, 1) == gtc
    assert _rounded(found.code_change_percent, 1) == code_change
    assert _rounded(found.m_s) == m_s


@pytest.mark.parametrize(("model", "average"), _ORIGINAL_AVERAGES.items())
def test_the_original_models_averages_are_reproduced(model: str, average: float) -> None:
    rates = _published(model, "original", None).rates
    assert _rounded(100 * sum(rates[task] for task in GENERAL_TASKS) / 5) == average


@pytest.mark.parametrize(
    ("model", "k"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 0.09),
        ("meta-llama/Llama-3.2-3B-Instruct", 0.09),
        ("codellama/CodeLlama-7b-Instruct-hf", 0.25),
    ],
)
def test_the_paper_s_onsets_are_reproduced(model: str, k: float) -> None:
    rates = {c.k_percent: c.rates[CODE_TASK] for c in _PAPER if c.model == model and c.condition == "spot"}
    assert metrics.onset({k: rate for k, rate in rates.items() if k is not None}) == k


def test_there_is_no_onset_where_the_ability_stays() -> None:
    assert metrics.onset({0.1: 0.5, 1.0: 0.01}) is None


def test_m_s_is_in_percentage_points() -> None:
    """(87.2 - 22.56) / (1 + 41.95 - 31.07)."""
    assert metrics.monosemanticity(0.2256, 0.872, 0.3107, 0.4195) == pytest.approx(64.64 / 11.88)


def test_m_s_is_not_defined_where_general_tasks_gain_a_point() -> None:
    assert metrics.monosemanticity(0.1, 0.9, 0.52, 0.51) is None
    assert metrics.monosemanticity(0.1, 0.9, 0.60, 0.51) is None
    assert metrics.monosemanticity(0.1, 0.9, 0.515, 0.51) == pytest.approx(80 / 0.5)


def test_retention_is_corrected_for_chance() -> None:
    assert metrics.retention(0.25, 0.85, 0.25) == 0
    assert metrics.retention(0.85, 0.85, 0.25) == 1
    assert metrics.retention(0.55, 0.85, 0.25) == pytest.approx(0.5)
    assert metrics.retention(0.10, 0.85, 0.25) == pytest.approx(-0.25)


def test_retention_is_not_defined_near_chance() -> None:
    assert metrics.retention(0.3, 0.2999, 0.25) is None
    assert metrics.retention(0.3, 0.39, 0.46) is None
    assert metrics.retention(0.30, 0.30, 0.25) == pytest.approx(1)  # 0.30 - 0.25 is below 0.05 in floating point


@pytest.mark.parametrize(
    ("before", "chance", "code_defined", "general_defined"),
    [
        ({"code": 0.0, "general": 0.8}, 0.25, False, True),
        ({"code": 0.04, "general": 0.8}, 0.25, False, True),
        ({"code": 0.9, "general": 0.27}, 0.25, True, False),
        ({"code": 0.9, "general": 0.8}, 0.25, True, True),
    ],
)
def test_nothing_is_defined_where_the_original_has_too_little_to_lose(
    before: dict[str, float], chance: float, code_defined: bool, general_defined: bool
) -> None:
    after = {"code": 0.0, "general": 0.26}
    found = metrics.cell_metrics(
        after, before, code=["code"], general=["general"], chance={"code": 0.0, "general": chance}
    )
    assert found.code_gone is (True if code_defined else None)
    assert found.general_lost is (True if general_defined else None)
    assert (found.m_s is not None) is (code_defined and general_defined)


def test_a_change_from_nothing_is_not_defined() -> None:
    assert metrics.change_percent(0.5, 0.0) is None
    assert metrics.change_percent(None, 0.5) is None
    assert metrics.change_percent(0.3, 0.4) == pytest.approx(-25)


def test_general_retention_is_the_mean_where_it_is_defined() -> None:
    found = metrics.cell_metrics(
        {"a": 0.5, "b": 0.4, "c": 0.5, "code": 0.0},
        {"a": 0.75, "b": 0.8, "c": 0.52, "code": 0.9},
        code=["code"],
        general=["a", "b", "c"],
        chance={"a": 0.25, "b": 0.0, "c": 0.5, "code": 0.0},
    )
    assert found.retentions == {"a": pytest.approx(0.5), "b": pytest.approx(0.5), "c": None, "code": 0.0}
    assert found.general_retention == pytest.approx(0.5)
    assert found.code_retention == 0.0
    assert found.average == pytest.approx(1.4 / 3)


def test_a_study_without_general_tasks_has_no_average() -> None:
    found = metrics.cell_metrics({"code": 0.5}, {"code": 1.0}, code=["code"], general=[], chance={"code": 0.0})
    assert found.average is None
    assert found.m_s is None
    assert found.general_retention is None
    assert found.code_change_percent == -50


def test_rates_are_means_over_items() -> None:
    rows = [("x", "t", 1.0), ("x", "t", 0.0), ("x", "u", 0.5), ("y", "t", 1.0)]
    frame = pd.DataFrame(rows, columns=["cell", "task", "outcome"])
    assert metrics.task_rates(frame) == {"x": {"t": 0.5, "u": 0.5}, "y": {"t": 1.0}}


def test_perplexity_is_of_all_tokens_together() -> None:
    rows = [("x", "go", 3, 6.0), ("x", "go", 1, 2.0), ("x", "c", 2, math.inf), ("y", "go", 4, 0.0)]
    frame = pd.DataFrame(rows, columns=["cell", "domain", "tokens", "loss"])
    found = metrics.perplexities(frame)
    assert found == {"x": {"go": pytest.approx(math.exp(2)), "c": math.inf}, "y": {"go": 1.0}}


def test_a_perplexity_too_large_to_compute_is_infinite() -> None:
    assert metrics.perplexity(1e6, 1) == math.inf
    assert metrics.perplexity(math.nan, 1) == math.inf


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.6))
def test_retention_is_linear_between_chance_and_original(rate: float, original: float, chance: float) -> None:
    found = metrics.retention(rate, original, chance)
    if found is not None:
        assert chance + found * (original - chance) == pytest.approx(rate, abs=1e-9)
    else:
        assert original - chance < metrics.LEAST_MARGIN
