"""The benchmark end to end on the shipped plain model, with few items."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from codingspot.bench import METHODS, BenchInput, default_methods, run_bench
from codingspot.bench.methods import ranked
from codingspot.bench.report import bench_picture, bench_table, ranking, write_bench_report
from codingspot.bench.truth import ground_truth
from codingspot.importance import ALIASES, ESTIMATORS
from codingspot.models import load_model, shipped_model
from codingspot.sandbox import available
from codingspot.spot import RECIPES
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of
from codingspot.testbed.world import world_corpus

FEW = [("magnitude", "sum", partial(ranked, estimator="magnitude", recipe="sum"))]


def test_every_estimator_meets_every_recipe_and_aliases_run_once() -> None:
    entries = [(estimator, recipe) for estimator, recipe, _ in default_methods()]
    computed = [recipe for recipe in RECIPES if RECIPES.traits(recipe).from_scores]
    others = set(RECIPES) - set(computed)
    assert {"learned", "units"} <= others
    pairs = len(list(ESTIMATORS)) * len(computed)
    assert len(entries) == len(set(entries)) == pairs + len(others) + len(list(METHODS))
    assert {("taylor", "learned"), ("", "units"), ("", "heads_by_pls")} <= set(entries)
    assert not {estimator for estimator, _ in entries} & set(ALIASES)


def test_whole_units_are_ranked_against_the_subset_that_coding_was_routed_to(tmp_path: Path) -> None:
    """With little text: what is found is far above chance (0.38 and 0.39), of the kind that is ranked alone."""
    path = shipped_model("routed")
    loaded, subset = load_model(path), Subset.load(path)
    bench = BenchInput(loaded, world_corpus(60, 0, languages_of(path)), tmp_path, token_budget=1024)
    methods = {recipe: method for estimator, recipe, method in default_methods() if not estimator}
    for name, kind, other, least in (("units", "neurons", "heads", 0.75), ("heads_by_pls", "heads", "neurons", 0.9)):
        figures = ground_truth(methods[name](bench), loaded.model, subset)
        assert figures[f"average_precision_{kind}"] > least
        assert f"average_precision_{other}" not in figures


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
