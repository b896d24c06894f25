"""The benchmark end to end on the shipped plain model, with few items."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from codingspot.bench import METHODS, default_methods, run_bench
from codingspot.bench.methods import ranked
from codingspot.bench.report import bench_picture, bench_table, ranking, write_bench_report
from codingspot.importance import ALIASES, ESTIMATORS
from codingspot.sandbox import available
from codingspot.spot import RECIPES

FEW = [("magnitude", "sum", partial(ranked, estimator="magnitude", recipe="sum"))]


def test_every_estimator_meets_every_recipe_and_aliases_run_once() -> None:
    entries = [(estimator, recipe) for estimator, recipe, _ in default_methods()]
    trained = [recipe for recipe in RECIPES if RECIPES.traits(recipe).training is not None]
    assert "learned" in trained
    computed = len(list(ESTIMATORS)) * (len(list(RECIPES)) - len(trained))
    assert len(entries) == len(set(entries)) == computed + len(trained) + len(list(METHODS))
    assert not {estimator for estimator, _ in entries} & set(ALIASES)


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
def test_a_stopped_benchmark_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    options = {"models": ["plain"], "token_budget": 512, "limit": 4}
    table = run_bench(tmp_path / "one", methods=FEW, **options)
    assert list(table["estimator"]) == ["chance", "magnitude"]
    row = table.iloc[1]
    assert 0 <= row["area_low"] <= row["area"] <= row["area_high"] <= 1
    calls: list[str] = []

    def failing(bench: object) -> None:
        calls.append("called")
        raise AssertionError

    again = run_bench(tmp_path / "one", methods=[("magnitude", "sum", failing)], **options)
    assert not calls
    pd.testing.assert_frame_equal(again, table)
    write_bench_report(table, tmp_path / "one")
    assert "magnitude" in (tmp_path / "one" / "bench.md").read_text()


def made(**figures: float) -> dict[str, object]:
    return {
        "model": "routed",
        "recipe": "sum",
        "tokens": 100,
        "seconds": 2.0,
        "area_low": 0.0,
        "area_high": 1.0,
        **figures,
    }


def test_methods_are_ranked_and_chance_leads_the_table() -> None:
    table = pd.DataFrame(
        [
            {"model": "routed", "estimator": "chance", "recipe": "", "precision_at_1": 0.3},
            {**made(area=0.2, precision_at_1=0.4), "estimator": "weak"},
            {**made(area=0.8, precision_at_1=0.9), "estimator": "strong"},
        ]
    )
    assert [estimator for estimator, _ in ranking(table)] == ["chance", "strong", "weak"]
    rendered = bench_table(table)
    assert [row.values[0] for row in rendered.rows] == ["chance", "strong", "weak"]
    assert len(bench_picture(table).panels) == 1
