"""The benchmark end to end on the shipped plain model, with few items."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from codingspot.bench import METHODS, BenchInput, all_methods, default_methods, run_bench
from codingspot.bench.cost import Cost, measured
from codingspot.bench.entries import ranked
from codingspot.bench.methods import MethodTraits
from codingspot.bench.report import bench_table, ranking, write_bench_report
from codingspot.bench.truth import ground_truth
from codingspot.importance import ALIASES, ESTIMATORS
from codingspot.models import load_model, shipped_model
from codingspot.sandbox import available
from codingspot.spot import RECIPES
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of
from codingspot.testbed.world import world_corpus

FEW = [("magnitude", "sum", partial(ranked, estimator="magnitude", recipe="sum"))]


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> BenchInput:
    path = shipped_model("routed")
    folder = tmp_path_factory.mktemp("routed")
    return BenchInput(load_model(path), world_corpus(60, 0, languages_of(path)), folder, token_budget=1024)


def test_every_estimator_meets_every_recipe_and_aliases_run_once() -> None:
    entries = [(estimator, recipe) for estimator, recipe, _ in all_methods()]
    computed = [recipe for recipe in RECIPES if RECIPES.traits(recipe).from_scores]
    others = set(RECIPES) - set(computed) - set(METHODS)
    assert {"learned", "units"} <= others
    pairs = len(list(ESTIMATORS)) * len(computed)
    variants = sum(len(METHODS.traits(name).variants) for name in METHODS)
    assert len(entries) == len(set(entries)) == pairs + len(others) + len(list(METHODS)) + variants
    assert {("taylor", "learned"), ("", "units"), ("", "heads_by_pls")} <= set(entries)
    assert ("", "selective_pruning score=rms steps=5") in entries
    assert not {estimator for estimator, _ in entries} & set(ALIASES)


def test_by_default_slow_methods_variants_and_void_contrasts_are_left_out(monkeypatch) -> None:
    for name, quick in (("slow", False), ("fast", True)):
        entry = METHODS._entry(name, lambda bench: bench, traits=MethodTraits(quick, ({},)))
        monkeypatch.setitem(METHODS._entries, name, entry)
    every, chosen = ({(e, r) for e, r, _ in methods()} for methods in (all_methods, default_methods))
    assert chosen < every
    left_out = every - chosen
    assert {
        ("", "slow"),
        ("", "selective_pruning score=rms"),
        ("magnitude", "share"),
        ("random", "set_difference"),
    } < left_out
    assert {
        ("", "fast"),
        ("", "selective_pruning"),
        ("magnitude", "sum"),
        ("random", "sum"),
        ("wanda", "share"),
    } < chosen


def test_a_method_s_cost_is_what_was_run_forward_and_how_often(routed) -> None:
    first = routed.scores("wanda")
    assert routed.scores("wanda").digest == first.digest
    assert routed.asked == set(routed.cost) == {"wanda"}
    of_scores = routed.cost["wanda"]
    assert (of_scores.tokens, of_scores.passes) == (4 * 1024, 1.0)
    model, java = routed.loaded.model, routed.texts[0]["java"].input_ids[:1]
    with measured(model) as cost:
        for ids in (java, java, java, java[:, :2]):  # the last is a probe
            model(input_ids=ids)
    assert (cost.tokens, cost.forwarded, cost.passes) == (256, 3 * 256, 3.0)
    cost.add(of_scores)
    assert (cost.tokens, cost.forwarded) == (4 * 1024, 3 * 256 + 4 * 1024)  # the Java is among what was scored
    assert Cost().passes == 0


def test_whole_units_are_ranked_against_the_subset_that_coding_was_routed_to(routed) -> None:
    """With little text: what is found is far above chance (0.38 and 0.39), of the kind that is ranked alone."""
    subset = Subset.load(shipped_model("routed"))
    methods = {recipe: method for estimator, recipe, method in default_methods() if not estimator}
    for name, kind, other, least in (
        ("units", "neurons", "heads", 0.75),
        ("heads_by_pls", "heads", "neurons", 0.9),
        ("heads_by_attention_gradient", "heads", "neurons", 0.9),
    ):
        figures = ground_truth(methods[name](routed), routed.loaded.model, subset)
        assert figures[f"average_precision_{kind}"] > least
        assert f"average_precision_{other}" not in figures


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
def test_a_stopped_benchmark_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    options = {"models": ["plain"], "token_budget": 512, "limit": 4}
    table = run_bench(tmp_path / "one", methods=FEW, **options)
    assert list(table["estimator"]) == ["chance", "magnitude"]
    row = table.iloc[1]
    assert 0 <= row["area_low"] <= row["area"] <= row["area_high"] <= 1
    assert (row["tokens"], row["passes"]) == (0, 0)  # magnitude reads no text
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
        "passes": 1.0,
        "seconds": 2.0,
        "area_low": 0.0,
        "area_high": 1.0,
        **figures,
    }


def test_methods_are_ranked_and_chance_leads_the_table(tmp_path: Path) -> None:
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
    write_bench_report(table, tmp_path)
    assert (tmp_path / "bench.png").stat().st_size > 10_000
