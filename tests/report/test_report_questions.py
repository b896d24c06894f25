"""Further analyses appear in the tables, pictures and the page of a run that has them, and nowhere else."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_runs import DOMAINS, DOSES, RunMaker

from codingspot.evaluation.results import Results
from codingspot.evaluation.sequential import Design, retention_intervals
from codingspot.report import build_report
from codingspot.report.run_files import Run, read_run
from codingspot.report.sections import analysis_sections
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Number, Table
from codingspot.report.tables import build_tables
from codingspot.study.cells import ORIGINAL, Plan

SCORED = [domain for domain in DOMAINS if not domain.held_out]
FURTHER = {
    "overlap",
    "overlap_by_module",
    "polysemanticity",
    "reliability",
    "prediction",
    "language_problems",
}


def write_further(folder: Path, plan: Plan) -> None:
    names = [domain.name for domain in SCORED]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i:]]
    overlap = [
        {
            "first": a,
            "second": b,
            "k_percent": k,
            "jaccard": None if a == b else 0.2,
            "expected_jaccard": None if a == b else 0.001,
            "chance_jaccard": None if a == b else 0.002,
            "split_jaccard": 0.6 if a == b else 0.25,
            "split_low": 0.1,
            "split_high": 0.7,
            "scope": "all",
        }
        for a, b in pairs
        for k in (0.09, 0.25)
    ]
    table = pd.DataFrame(overlap).assign(parameters=9.0, common=1.0, expected=0.1, p_value=0.01)
    table.to_parquet(folder / "overlap.parquet")
    tensors = [
        {
            "scope": "all", "first": "code", "second": "english", "k_percent": 0.25, "tensor": f"layers.{layer}.{kind}",
            "kind": kind, "parameters": 1000, "first_selected": 40, "second_selected": 50, "common": 8, "expected": 2.0,
            "layer": layer, "block": "mlp", "jaccard": 0.1, "expected_jaccard": 0.02, "p_value": 0.01,
        }
        for layer in range(2)
        for kind in ("q", "down")
    ]  # fmt: skip
    pd.DataFrame(tensors).to_parquet(folder / "overlap_tensors.parquet")
    groups = [("spot", None, 0.6), *(("random", seed, 0.8 + seed / 100) for seed in range(3))]
    rows = [
        {"spot": "paper", "group": g, "seed": s, "k_percent": k, "parameters": 5, "undefined": 0,
         "mean": m, "q05": m - 0.2, "q25": m - 0.1, "q50": m, "q75": m + 0.1, "q95": m + 0.15,
         "q50_low": m - 0.01, "q50_high": m + 0.01}
        for g, s, m in groups for k in DOSES
    ]  # fmt: skip
    pd.DataFrame(rows).astype({"seed": "Int64"}).to_parquet(folder / "polysemanticity.parquet")
    shares = [
        {"spot": "paper", "group": g, "seed": s, "k_percent": k, "domain": d.name, "kind": d.kind, "share": 1 / 11}
        for g, s, _ in groups for k in DOSES for d in SCORED
    ]  # fmt: skip
    pd.DataFrame(shares).astype({"seed": "Int64"}).to_parquet(folder / "shares.parquet")
    reliability = [
        {"spot": "paper", "split": split, "k_percent": k, "pairs": pairs, "jaccard": 0.7, "lowest_jaccard": 0.6,
         "highest_jaccard": 0.8, "expected_jaccard": 0.0, "chance_jaccard": 0.01, "spearman": 0.97,
         "lowest_spearman": 0.96, "parameters": 9}
        for k in DOSES for split, pairs in (("halves", 1), ("draws", 6))
    ]  # fmt: skip
    pd.DataFrame(reliability).to_parquet(folder / "reliability.parquet")
    predicted = [
        {"cell": cell.name, "domain": d.name, "kind": d.kind, "parameters": 1, "predicted": 0.01 * cell.k_percent}
        for cell in plan.cells if cell.spot for d in SCORED
    ]  # fmt: skip
    pd.DataFrame(predicted).to_parquet(folder / "prediction.parquet")
    matrix = [
        {"spot": spot, "spot_kind": "code", "measure": "loss", "of": d.name, "original": 1.0,
         "value": 1.0 + np.log(2) * (spot == d.name), "low": 1.0, "high": 2.0}
        for spot in ("go", "bash") for d in DOMAINS
    ]  # fmt: skip
    matrix += [
        {"spot": spot, "spot_kind": "code", "measure": "pass@1", "of": "testbed_humaneval_bash", "original": 0.9,
         "value": 0.4, "low": 0.3, "high": 0.5} for spot in ("go", "bash")
    ]  # fmt: skip
    table = pd.DataFrame(matrix).assign(k_percent=0.25, scope="blocks", recipe="sum", parameters=9)
    table.to_parquet(folder / "language_matrix.parquet")


@pytest.fixture(scope="module")
def run_with_all(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("further") / "run"
    shutil.copytree(run_directory, copy)
    write_further(copy / "analysis", read_run(copy).plan)
    return copy


def _tables(run: Run) -> dict[str, Table]:
    summary = summarise(run)
    sections = analysis_sections(run, summary, judge_all(summary, run.density))
    tables = (*build_tables(run, summary), *(table for section in sections for table in section.tables))
    return {table.name: table for table in tables}


def _value(table: Table, row: int, key: str) -> Number:
    value = table.rows[row].values[[column.key for column in table.columns].index(key)]
    assert isinstance(value, Number)
    return value


def test_tables_say_what_the_analyses_found(run_with_all: Path):
    tables = _tables(read_run(run_with_all))
    assert set(tables) >= FURTHER
    overlap = tables["overlap"]
    assert [row.values[0] for row in overlap.rows[:3]] == [
        "A language with itself",
        "Two languages",
        "A language and general text",
    ]
    assert [_value(overlap, row, "split_jaccard").value for row in range(3)] == pytest.approx([0.6, 0.25, 0.25])
    module = tables["overlap_by_module"]
    assert (_value(module, 0, "common").value, _value(module, 0, "times").value) == (16, 4.0)
    entropy = tables["polysemanticity"]
    assert _value(entropy, 0, "entropy") == Number(0.6, 0.5, 0.7)
    random = _value(entropy, 0, "entropy_random")
    assert (random.value, random.low, random.high) == pytest.approx((0.81, 0.8, 0.82))
    assert _value(tables["reliability"], 0, "jaccard_draws") == Number(0.7, 0.6, 0.8)
    assert _value(entropy, 0, "general_percent").value == pytest.approx(100 / 11)


def test_actual_changes_of_loss_stand_beside_the_predicted(run_with_all: Path):
    run = read_run(run_with_all)
    table, summary = _tables(run)["prediction"], summarise(run)
    spot = next(i for i, row in enumerate(table.rows) if row.role == "spot" and row.values[1] == Number(1.0))
    ratio = summary.at("paper", None, 1.0)[0].perplexity_ratio["english"]
    assert _value(table, spot, "actual_english").value == pytest.approx(np.log(ratio))
    assert _value(table, spot, "predicted_code").value == pytest.approx(0.01)


def test_the_page_has_one_part_a_question_and_the_pictures(run_with_all: Path):
    page = build_report(run_with_all).read_text()
    for title in ("Does each language have a region of its own?", "Would other text find the same spot?"):
        assert page.count(title) == 1
    for picture in ("shared_regions", "language_matrix", "prediction"):
        assert (run_with_all / "figures" / f"{picture}.png").exists()
        assert f'class="picture {picture}' in page


def test_a_run_without_them_shows_nothing(built_run: Path):
    assert not FURTHER & set(_tables(read_run(built_run)))
    assert "Further questions" not in (built_run / "report.html").read_text()


def test_onset_and_the_dose_by_rule_are_bracketed(run_directory: Path):
    table = _tables(read_run(run_directory))["doses"]
    row = next(i for i, row in enumerate(table.rows) if row.spot == "contrast")
    onset, before = _value(table, row, "onset").value, _value(table, row, "onset_after").value
    low, high = _value(table, row, "onset_low").value, _value(table, row, "onset_high").value
    assert None not in (onset, before, low, high)
    assert low <= before < onset <= high  # type: ignore[operator]


@pytest.mark.parametrize(("accuracy", "undefined"), [(0.0, "code and general tasks"), (0.55, None)])
def test_no_onset_of_what_was_not_there(accuracy: float, undefined: str | None, small: RunMaker, tmp_path: Path):
    run = read_run(small.with_(accuracy=accuracy, analysis=False).write(tmp_path / "run"))
    tables = _tables(run)
    table = tables["doses"]
    assert ("Not defined" in table.caption) == (undefined is not None)
    assert (undefined or "") in table.caption
    assert ("M_s isn't defined" in tables["table3_monosemanticity"].caption) == (undefined is not None)
    keys = [column.key for column in table.columns]
    for row in table.rows:
        shown = dict(zip(keys, row.values, strict=True))
        assert {shown["onset"] == "not defined", shown["kept"] == "not defined"} == {undefined is not None}
        if undefined:
            assert {shown[key] for key in keys if key not in ("doses", "onset", "kept")} == {Number(None)}
    assert ("not defined" in build_report(tmp_path / "run").read_text()) == (undefined is not None)


def test_a_sequential_run_is_set_beside_the_original_on_its_own_items(small: RunMaker, tmp_path: Path):
    folder = small.write(tmp_path / "run")
    run = read_run(folder)
    plan, outcomes = run.plan, run.results.outcomes
    chance = {task.name: task.chance for task in plan.tasks}
    questions = {kind: [task.name for task in plan.with_role(kind)] for kind in ("code", "general")}  # type: ignore[arg-type]
    original = outcomes[outcomes["cell"] == ORIGINAL]
    shown = set()
    for tasks in questions.values():
        design = Design.of(original, tasks, chance)
        assert design is not None
        shown |= set(design.order[:60])
    shown |= {("testbed_comprehension", item) for item in range(12)}
    kept = [
        cell == ORIGINAL or (task, item) in shown
        for cell, task, item in zip(outcomes["cell"], outcomes["task"], outcomes["item"], strict=True)
    ]
    Results(outcomes[kept], run.results.losses).write(folder, force=True)
    intervals = retention_intervals(outcomes[kept], ORIGINAL, questions, chance)
    intervals.to_parquet(folder / "analysis" / "sequential.parquet")
    summary, tables = summarise(read_run(folder)), _tables(read_run(folder))
    cell = summary.at("paper", None, 1.0)[0]
    row = intervals[(intervals["cell"] == cell.cell.name) & (intervals["question"] == "code")].iloc[0]
    assert cell.intervals.code_retention == pytest.approx((row["low"], row["high"]))
    assert summary.original.metrics.code_retention == 1.0
    assert "areas" not in tables
    assert _value(tables["sequential"], 0, "code_items").value == 60
    assert "times fewer" in tables["sequential"].caption
    build_report(folder)
