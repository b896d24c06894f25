"""Spots of whole units in a study, from its text to its cells."""

import json
from pathlib import Path

import pandas as pd
import pytest

from codingspot.errors import SelectionError, StudyError
from codingspot.report import build_report
from codingspot.study import parse_study, run_study
from codingspot.study.checking import check_study
from codingspot.study.inputs import load_inputs
from codingspot.study.keys import StudyKeys
from codingspot.study.planning import plan_cells
from codingspot.study.progress import Silent

_STUDY = """
name: units
model: {{id: "{model}"}}
corpus: {{source: "{corpus}", evaluation_documents: 2, held_out: [python]}}
scoring: {{token_budget: 256, sequence_length: 64, draws: 1}}
spots:
  - name: neurons
    recipe: units
    k_percent: [0.1, 0.5]
    controls: [matched_units, matched, general_spot]
    control_seeds: [3]
  - {{name: heads, recipe: units, parameters: {{unit: head, score: pls, contrast: difference}}, k_percent: [1]}}
analyses: [prediction]
evaluation: {{code: [], general: [testbed_events], other: [], limit: 2}}
"""


class _Told(Silent):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)


def test_a_spot_of_units_is_found_edited_and_reported(corpus_folder: Path, tiny_model: Path, tmp_path: Path):
    prior = "  - {{name: prior, recipe: unit_prior, scope: blocks, k_percent: [0.5], controls: [matched]}}\nanalyses"
    text = (
        _STUDY.replace("analyses", prior).replace("draws: 1", "draws: 1, keep: folded")
        + "language_matrix: {{recipe: units, k_percent: 0.5}}\n"
    )
    told = _Told()
    study = parse_study(text.format(corpus=corpus_folder, model=tiny_model), "units.yaml")
    run = run_study(study, tmp_path / "run", progress=told).path
    assert {"reading units on go", "reading units on english"} <= set(told.stages)
    plan = json.loads((run / "plan.json").read_text())
    cells = {cell["name"]: cell for cell in plan["cells"]}
    nominal = 0.001 * plan["model"]["parameters"]
    edited = cells["neurons-k0.1"]
    assert 0 < edited["parameters"] <= nominal < edited["parameters"] + edited["parameters"] / edited["units"]
    for control in ("matched_units-s3", "matched-s3", "general_spot"):
        assert cells[f"neurons-{control}-k0.1"]["parameters"] == edited["parameters"]
    assert cells["neurons-matched_units-s3-k0.1"]["units"] == edited["units"]
    assert cells["neurons-matched-s3-k0.1"]["units"] is None
    build_report(run)
    (record,) = (each for each in json.loads((run / "summary.json").read_text()) if each["cell"] == "neurons-k0.1")
    assert (record["parameters"], record["units"]) == (edited["parameters"], edited["units"])
    retention = pd.read_csv(run / "tables" / "table4_retention.csv")
    assert retention["units"].dropna().max() == cells["neurons-k0.5"]["units"]
    table = pd.read_parquet(run / "analysis" / "units-neurons.parquet")
    assert table["selected"].sum() == cells["neurons-k0.5"]["units"]
    density = pd.read_parquet(run / "analysis" / "density.parquet")
    selected = density.groupby(["spot", "k_percent"])["selected"].sum()
    assert selected["neurons", 0.1] == edited["parameters"]
    assert selected["heads", 1.0] == cells["heads-k1"]["parameters"]
    assert selected["prior", 0.5] == cells["prior-matched-s0-k0.5"]["parameters"] == round(5 * nominal)
    assert cells["prior-k0.5"]["units"] is None
    assert sorted(path.stem for path in (run / "analysis").glob("units-*")) == ["units-heads", "units-neurons"]
    matrix = pd.read_parquet(run / "analysis" / "language_matrix.parquet")
    assert set(matrix["spot"]) == {"go"}  # the one language that is scored: its spot is that of all together
    losses = pd.read_parquet(run / "losses.parquet").query("cell == 'neurons-k0.5'").groupby("domain")
    assert dict(zip(matrix["of"], matrix["value"], strict=True)) == pytest.approx(
        (losses["loss"].sum() / losses["tokens"].sum()).to_dict()
    )


def test_further_draws_of_controls_have_perplexity_alone_and_change_no_table_of_doses(
    corpus_folder, tiny_model, tmp_path
):
    draws = "    control_seeds: [3]\n    judged: {{k_percent: 0.5, draws: 1}}\n"
    text = _STUDY.replace("    control_seeds: [3]\n", draws).format(corpus=corpus_folder, model=tiny_model)
    judged = text.replace("0.5, draws: 1", "0.5, draws: 3")
    run = run_study(parse_study(text, "units.yaml"), tmp_path / "run").path
    build_report(run)
    # the manifest has every file's digest, and the findings tell how many draws stood against the spot
    told_apart = {"manifest.json", "findings.csv", "findings.md", "findings.tex"}
    before = {path.name: path.read_bytes() for path in (run / "tables").iterdir() if path.name not in told_apart}
    run_study(parse_study(judged, "units.yaml"), tmp_path / "run")
    build_report(run)
    records = [each for each in json.loads((run / "summary.json").read_text()) if each["purpose"] == "draw"]
    assert {(each["control"], each["seed"], each["k_percent"]) for each in records} == {
        (control, seed, 0.5) for control in ("matched_units", "matched") for seed in (0, 1)
    }
    assert {each["asked"] for each in records} == {"draw"}
    assert all(each["perplexity"]["go"] > 0 and not each["tasks"] for each in records)
    assert {path.name: path.read_bytes() for path in (run / "tables").iterdir() if path.name in before} == before


def test_what_draws_of_text_find_is_compared_and_shown(corpus_folder: Path, tiny_model: Path, tmp_path: Path):
    text = _STUDY.replace("draws: 1", "draws: 2").replace("[prediction]", "[reliability]")
    rounds = "  - {{name: rounds, recipe: units, parameters: {{rounds: 2}}, k_percent: [1]}}\nanalyses"
    study = parse_study(text.replace("analyses", rounds).format(corpus=corpus_folder, model=tiny_model), "units.yaml")
    run = run_study(study, tmp_path / "run").path
    table = pd.read_parquet(run / "analysis" / "unit_reliability.parquet")
    assert set(zip(table["spot"], table["unit"], table["k_percent"], strict=True)) == {
        ("neurons", "neuron", 0.1),
        ("neurons", "neuron", 0.5),
        ("heads", "head", 1.0),
    }
    spots = json.loads((run / "plan.json").read_text())["cells"]
    sizes = {cell["name"]: cell["units"] for cell in spots}
    assert set(table[table["k_percent"] == 0.5]["units"]) == {sizes["neurons-k0.5"]}
    build_report(run)
    shown = pd.read_csv(run / "tables" / "unit_reliability.csv")
    assert shown["units"].tolist() == [sizes["neurons-k0.1"], sizes["neurons-k0.5"], sizes["heads-k1"]]
    page = (run / "report.html").read_text()
    assert page.index("Would other text find the same spot?") < page.index("Whole units that other text finds")
    # Another dose: what draws select is saved, so nothing is read again.
    changed = study.model_copy(
        update={"spots": (study.spots[0].model_copy(update={"k_percent": (0.3, 0.5)}), *study.spots[1:])}
    )
    run_study(changed, tmp_path / "run")
    again = pd.read_parquet(run / "analysis" / "unit_reliability.parquet")
    assert set(again["k_percent"]) == {0.3, 0.5, 1.0}


@pytest.mark.parametrize(
    ("spot", "error", "named"),
    [
        ("k_percent: [0.0001]", SelectionError, "spot mine: k = 0.0001% is 3 parameters, and one neuron has"),
        ("k_percent: [80]", SelectionError, "spot mine: k = 80% is .* and all neurons in scope 'all' have"),
        ("k_percent: [1], scope: attention", SelectionError, "spot mine: scope 'attention' holds no whole neuron"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_scored(corpus_folder, tmp_path, spot, error, named):
    text = f"""
name: a
corpus: {{source: "{corpus_folder}", evaluation_documents: 2}}
scoring: {{token_budget: 256, sequence_length: 64}}
spots: [{{name: mine, recipe: units, {spot}}}]
"""
    study = parse_study(text, "a.yaml")
    inputs = load_inputs(study, lambda _stage: None)
    with pytest.raises(error, match=named):
        check_study(study, inputs)


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ("controls: [matched_units]", "spot mine: matched_units draws whole units, and sum selects weights"),
        ("recipe: units, parameters: {per_tensor: true}", "spot mine: per_tensor is for recipes computed from scores"),
        ("recipe: units, parameters: {score: attribution}", "spot mine: unit score 'attribution' is signed"),
        ("recipe: units, parameters: {token_budget: 0}", "spot mine: recipe 'units': token_budget is 0"),
    ],
)
def test_what_a_study_can_not_ask_for(spot, named):
    with pytest.raises(StudyError, match=named):
        parse_study(f"name: a\nspots: [{{name: mine, k_percent: [1], {spot}}}]", "a.yaml")


def test_a_larger_dose_keeps_cells_of_units_but_for_those_chosen_in_rounds():
    """In one pass a smaller dose is a prefix of a larger; in rounds it isn't. A spot's units are of its key."""

    def keys(largest: float, parameters: str) -> tuple[str, str, str]:
        text = f"spots: [{{name: mine, recipe: units, k_percent: [0.5, {largest}], parameters: {{{parameters}}}}}]"
        study = parse_study(f"name: a\n{text}\nevaluation: {{code: [], general: [], other: []}}", "a.yaml")
        made = StudyKeys(study, {})
        spots, cells = made.spots(), made.cells(plan_cells(study, 10_000))
        table = spots["analysis/units-mine.parquet"]
        return spots["spots/mine.safetensors"], table, cells["losses/mine-k0.5.parquet"]

    for parameters, same in (("unit: head", True), ("rounds: 2", False)):
        (spot, table, cell), (other_spot, other_table, other_cell) = (keys(k, parameters) for k in (1, 2))
        assert spot == table != other_spot == other_table
        assert (cell == other_cell) is same
