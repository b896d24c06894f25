"""A package outside the program: each method is one file, and gets all that a built-in one gets."""

import json
import shutil
import sys
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
import yaml
from typer.testing import CliRunner

from codingspot.ablation import CONTROLS, EDITS
from codingspot.analysis_registry import ANALYSES
from codingspot.bench import METHODS, all_methods, default_methods
from codingspot.cli import export as export_commands
from codingspot.cli import views as view_commands
from codingspot.cli.app import app
from codingspot.errors import ArtefactError, StudyError
from codingspot.evaluation.declared import TASKS
from codingspot.export import EXPORTS
from codingspot.importance import ESTIMATORS, ScoreStore
from codingspot.report import build_report
from codingspot.report.run_files import read_run
from codingspot.report.specificity import matched_controls
from codingspot.report.summary import summarise
from codingspot.spot import RECIPES
from codingspot.study import RunDirectory, parse_study, run_study
from codingspot.views import VIEWS

POINTS = """
[codingspot.estimators]
doubled_taylor = plugged.doubled_taylor:doubled_taylor
[codingspot.recipes]
least_general = plugged.least_general:least_general
second_half = plugged.second_half:second_half
[codingspot.edits]
shrink = plugged.shrink:shrink
[codingspot.controls]
next_door = plugged.next_door:next_door
[codingspot.tasks]
opposites = plugged.opposites:opposites
[codingspot.analyses]
neighbours = plugged.neighbours:neighbours
[codingspot.methods]
least_language = plugged.least_language:least_language
[codingspot.exports]
ranks = plugged.ranks:RanksExport
[codingspot.views]
surprise = plugged.surprise:SurpriseSettings
"""
STUDY = """
name: plugged
corpus: {languages: [go, python], held_out: [python], documents: 40, evaluation_documents: 2}
scoring: {estimator: doubled_taylor, parameters: {factor: 3.0}, token_budget: 512, sequence_length: 64, draws: 2}
spots:
  - {name: least, recipe: least_general, scope: mlp, k_percent: [0.5], controls: [next_door], control_seeds: [0, 1],
     edit: shrink, edit_parameters: {by: 4.0}}
  - {name: half, recipe: second_half, scope: blocks, k_percent: [0.5]}
evaluation: {code: [], general: [opposites], other: []}
analyses: [reductions, overlap, reliability, prediction, neighbours]
views: {surprise: {texts: 2}}
"""


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory):
    """The package, installed for the tests of this module alone."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(Path(__file__).parent / "package", site / "plugged")
    info = site / "plugged_methods-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-methods\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(POINTS)
    registries = (ESTIMATORS, RECIPES, EDITS, CONTROLS, METHODS, VIEWS, ANALYSES, EXPORTS, TASKS)
    before = [dict(registry._entries) for registry in registries]
    sys.path.insert(0, str(site))
    for registry in registries:
        registry.__dict__.pop("_installed", None)
    yield
    sys.path.remove(str(site))
    for registry, entries in zip(registries, before, strict=True):
        registry.__dict__.pop("_installed", None)
        registry._entries.clear()
        registry._entries.update(entries)
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugged"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(_installed, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    found = run_study(parse_study(STUDY, "plugged.yaml"), tmp_path_factory.mktemp("runs") / "plugged")
    build_report(found.path)
    return found


def analysis(run: RunDirectory, stem: str) -> pd.DataFrame:
    return pd.read_parquet(run.analysis / f"{stem}.parquet")


def test_an_additive_estimator_gets_draws_and_reliability(run) -> None:
    assert set(analysis(run, "agreement")["comparison"]) >= {"aggregation", "normalisation", "budget"}
    assert set(analysis(run, "reliability")["spot"]) == {"least"}  # one that is trained would have to be trained again


def test_a_first_order_estimator_and_an_edit_that_multiplies_get_predictions(run) -> None:
    table = analysis(run, "prediction")
    assert set(table["cell"]) == {"least-k0.5", "least-next_door-s0-k0.5", "least-next_door-s1-k0.5", "half-k0.5"}
    assert table["predicted"].abs().min() > 0


def test_a_trained_recipe_keeps_its_curve(run) -> None:
    assert analysis(run, "learning-half")["k_percent"].tolist() == [0.5]


def test_a_matched_control_is_one_that_a_specific_spot_must_surpass(run) -> None:
    assert matched_controls(summarise(read_run(run.path)), "least") == ["next_door"]


def test_a_task_is_evaluated_in_every_cell_and_has_its_label(run) -> None:
    outcomes = pd.read_parquet(run.path / "results.parquet")
    assert outcomes.groupby("cell")["task"].agg(list).map(lambda tasks: tasks == ["opposites"] * 4).all()
    assert "opposites in English" in (run.path / "tables" / "table1_dose_response.md").read_text()


def test_a_view_has_study_keys_tables_pictures_and_a_section(run) -> None:
    assert yaml.safe_load((run.path / "study.yaml").read_text())["views"]["surprise"] == {"texts": 2}
    assert analysis(run, "surprise")["domain"].tolist() == ["go", "python", "english"]
    assert (run.path / "tables" / "surprise.tex").exists()
    assert (run.path / "figures" / "surprise.png").exists()
    page = (run.path / "report.html").read_text()
    assert '<section id="view-surprise">' in page
    assert "The model is surprised most by " in page
    made = (run.analysis / "surprise.parquet").stat().st_mtime_ns
    run_study(parse_study(STUDY, "plugged.yaml"), run.path)
    assert (run.analysis / "surprise.parquet").stat().st_mtime_ns == made


def test_a_method_of_the_benchmark_is_run_and_its_variant_where_all_are(run) -> None:
    by_default, every = ([name for _, name, _ in methods()] for methods in (default_methods, all_methods))
    assert "least_language" in by_default
    assert {"least_language", "least_language estimator=fisher"} < set(every) - (set(by_default) - {"least_language"})
    store = ScoreStore.open(run.scores)
    keys = METHODS.bind("least_language", {})(SimpleNamespace(scores=lambda _estimator: store))
    assert keys.shape == (store.layout.total,)
    with pytest.raises(StudyError, match=r"method 'least_language' of plugged-methods 0\.3 failed \(AttributeError: "):
        METHODS.bind("least_language", {})(None)


def test_an_analysis_has_a_table_a_picture_and_a_part_of_the_report(run) -> None:
    table = analysis(run, "neighbours")
    assert table["spot"].tolist() == ["least", "half"]
    assert table["share"].between(0, 1).all()
    assert (run.path / "tables" / "neighbours.tex").exists()
    assert (run.path / "figures" / "neighbours.png").exists()
    page = (run.path / "report.html").read_text()
    assert "Do a spot&#39;s parameters stand side by side?" in page
    assert "of the parameters or fewer stand beside another." in page
    # It is kept by what it was made from, as one of the program is.
    made = (run.analysis / "neighbours.parquet").stat().st_mtime_ns
    run_study(parse_study(STUDY, "plugged.yaml"), run.path)
    assert (run.analysis / "neighbours.parquet").stat().st_mtime_ns == made
    assert "analysis/neighbours.parquet" in json.loads((run.path / "keys.json").read_text())


def test_an_analysis_is_asked_for_by_name_and_studies_without_it_stay_as_they_are() -> None:
    without = STUDY.replace("analyses: [reductions, overlap, reliability, prediction, neighbours]", "")
    assert "neighbours" not in parse_study(without, "plugged.yaml").analyses
    with pytest.raises(StudyError, match=r"unknown analysis 'neighbors'; use one of .*reliability.*neighbours"):
        parse_study(STUDY.replace("prediction, neighbours", "neighbors"), "plugged.yaml")


def test_what_a_method_of_a_package_raises_is_one_line_and_what_refuses_stays(run) -> None:
    said = (
        r"analysis 'neighbours' of plugged-methods 0\.3 failed \(AttributeError: .* at \S+neighbours\.py:\d+\); repair"
    )
    with pytest.raises(StudyError, match=said), ANALYSES.at_work("neighbours"):
        ANALYSES["neighbours"](None)
    with pytest.raises(ArtefactError, match="as it is"), ANALYSES.at_work("neighbours"):
        raise ArtefactError("as it is")
    with pytest.raises(ZeroDivisionError), ANALYSES.at_work("overlap"):
        _ = 1 / 0


def test_what_a_bound_method_of_a_package_raises_is_one_line() -> None:
    with pytest.raises(StudyError, match=r"edit 'shrink' of plugged-methods 0\.3 failed \(TypeError: "):
        EDITS.bind("shrink", {})("no weights", None)
    with pytest.raises(TypeError):
        EDITS.bind("zero", {})()


def test_a_run_and_a_report_go_on_after_an_analysis_that_raised(run, tmp_path, monkeypatch) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run/analysis/neighbours.parquet").unlink()
    entry = ANALYSES._find("neighbours")
    study = parse_study(STUDY, "plugged.yaml")
    failing = wraps(entry.function)(lambda given: given.nothing)
    with monkeypatch.context() as patch:
        patch.setitem(ANALYSES._entries, "neighbours", replace(entry, function=failing))
        with pytest.raises(StudyError, match="repair it, or leave it out"):
            run_study(study, tmp_path / "run")
    again = run_study(study, tmp_path / "run")
    assert (again.analysis / "neighbours.parquet").exists()
    traits = replace(entry.traits, sections=lambda *_: 1 // 0)
    monkeypatch.setitem(ANALYSES._entries, "neighbours", replace(entry, traits=traits))
    with pytest.raises(StudyError, match=r"'neighbours' of plugged-methods 0\.3 failed \(ZeroDivisionError"):
        build_report(again.path)


def test_a_view_s_settings_are_checked_and_studies_without_it_stay_as_they_are() -> None:
    with pytest.raises(StudyError, match=r"views\.surprise\.texts"):
        parse_study(STUDY.replace("texts: 2", "texts: 0"), "plugged.yaml")
    assert "surprise" not in parse_study(STUDY.replace("{surprise: {texts: 2}}", "{}"), "plugged.yaml").to_yaml()


def test_a_view_has_a_command(tmp_path: Path) -> None:
    fresh = typer.Typer()
    view_commands.register(fresh)
    arguments = ["surprise", "testbed", "--documents", "20", "-l", "go", "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(fresh, arguments)
    assert result.exit_code == 0, result.output
    assert {row["domain"] for row in json.loads(result.stdout)["surprise"]} == {"go", "english"}
    assert "--texts" in CliRunner().invoke(fresh, ["surprise", "--help"], env={"COLUMNS": "200"}).output


def test_an_export_has_a_command(run, tmp_path: Path) -> None:
    fresh = typer.Typer()
    export_commands.register(fresh)
    arguments = ["export", "ranks", str(run.path / "spots/least.safetensors"), "--tensors", "2", "--k", "0.25"]
    result = CliRunner().invoke(fresh, [*arguments, "--out", str(tmp_path / "ranks")])
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "ranks/ranks.txt").read_text().splitlines()) == 2
    refused = CliRunner().invoke(fresh, [*arguments, "--out", str(tmp_path / "x"), "--tensors", "0"])
    assert refused.output.startswith("error: --tensors: Input should be greater than 0")


def test_labels_stand_in_tables_and_page(run) -> None:
    page = (run.path / "report.html").read_text()
    assert "Next-door parameters" in page
    assert "what English needs least" in page
    tables = "".join(path.read_text() for path in (run.path / "tables").glob("*.md"))
    assert "the second half" in tables


def test_the_package_is_listed_with_its_parameters() -> None:
    listed = json.loads(CliRunner().invoke(app, ["methods", "--json"]).stdout)
    own = {method["name"]: method for method in listed if method["source"] == "plugged-methods 0.3"}
    assert set(own) == {
        "doubled_taylor",
        "least_general",
        "second_half",
        "shrink",
        "next_door",
        "surprise",
        "ranks",
        "opposites",
        "neighbours",
        "least_language",
    }
    assert own["shrink"]["parameters"] == {"by": {"type": "float", "default": "2.0"}}
