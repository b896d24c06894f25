"""Names and samples that hold control characters make whole reports in which they can be seen and do nothing."""

import io
import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console
from synthetic_runs import RunMaker
from test_report_questions import write_further
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.evaluation.results import Results
from codingspot.report import console_report
from codingspot.report.run_files import read_run
from codingspot.views.lens.example import example_page

ESC = "\x1b]0;owned\x07\x1b[31m\u202egnp\x9b1m\ufffe"
SHOWN = r"\x1b]0;owned\x07\x1b[31m\u202egnp\x9b1m\ufffe"
COMMANDS = {*ESC, "\x00"} - {c for c in ESC if c.isprintable()}
# A NUL can be in names of a plan, though in none of a study.
NAMES = {"python": f"python{ESC}\x00", "english": f"english{ESC}\x00", "go": f"go [/] <b>{ESC}\x00"}
TASK = "testbed_events"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every name and sample is hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    names = {name: f"{name} {ESC}" for name in ("paper", "contrast", "contrast-blocks")}
    maker = RunMaker(model_id=f"model{ESC}", study=f"study{ESC}", bad_program=f"print('{ESC}')")
    spots = tuple((names[name], recipe, scope, doses) for name, recipe, scope, doses in maker.spots)
    maker = maker.with_(spots=spots, controlled_spots=(names["paper"],))
    maker.write(folder)
    write_further(folder / "analysis", read_run(folder).plan)
    plan = json.loads((folder / "plan.json").read_text())
    for domain in plan["domains"]:
        domain["name"] = NAMES.get(domain["name"], domain["name"])
    for task in plan["tasks"]:
        task["name"] = task["name"].replace(TASK, f"{TASK}{ESC}")
    (folder / "plan.json").write_text(json.dumps(plan))
    results = Results.read(folder)
    outcomes = results.outcomes.assign(task=results.outcomes["task"].replace(TASK, f"{TASK}{ESC}"))
    losses = results.losses.assign(domain=results.losses["domain"].replace(NAMES))
    Results(outcomes, losses).write(folder, force=True)
    for path in (folder / "analysis").glob("*.parquet"):
        table = pd.read_parquet(path)
        texts = [name for name in ("first", "second", "domain", "of") if name in table]
        renamed = {name: table[name].replace(NAMES) for name in texts}
        renamed |= {name: table[name].replace(names) for name in ("spot",) if name in table}
        table.assign(**renamed).to_parquet(path)
    study = yaml.safe_load((folder / "study.yaml").read_text())
    study["description"] = f"described {ESC}"
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


@pytest.fixture(scope="module")
def reported(hostile: Path) -> tuple[str, list[str]]:
    """What `codingspot report` prints of it, and the warnings as it draws."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = CliRunner().invoke(app, ["report", str(hostile)], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output, [str(warning.message) for warning in caught]


@pytest.mark.usefixtures("reported")
def test_pages_and_readable_tables_show_what_the_names_hold(hostile: Path):
    page = (hostile / "report.html").read_text()
    assert not COMMANDS & set(page)
    for name in ("study", "model", "described ", "python", "print(&#39;"):
        assert f"{name}{SHOWN}" in page.replace("Python", "python")
    for path in [*(hostile / "tables").glob("*.md"), *(hostile / "tables").glob("*.tex")]:
        assert not COMMANDS & set(path.read_text())


@pytest.mark.usefixtures("reported")
def test_tables_for_computing_and_the_summary_keep_the_names(hostile: Path):
    record = json.loads((hostile / "summary.json").read_text())[0]
    assert f"{TASK}{ESC}" in record["tasks"]
    assert f"perplexity_ratio_python{ESC}" in (hostile / "tables" / "table4_retention.csv").read_text()


def test_figures_are_drawn_without_a_missing_glyph(reported: tuple[str, list[str]]):
    assert not [warning for warning in reported[1] if "lyph" in warning]


def test_the_console_s_report_is_safe_on_any_console(hostile: Path):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    for part in console_report(hostile):
        console.print(part)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert not COMMANDS & set(printed)
    assert SHOWN in printed.replace("\n", "")


def test_commands_print_no_command(hostile: Path, reported: tuple[str, list[str]]):
    compared = CliRunner().invoke(app, ["compare", str(hostile)], env={"COLUMNS": "80", "TERM": "dumb"})
    assert compared.exit_code == 0, compared.output
    for output in (reported[0], compared.output):
        assert not COMMANDS & set(output)
        assert SHOWN in output.replace("\n", "")


def test_the_lens_page_shows_hostile_tokens():
    rows = {"source": "go", "target": f"c{ESC}", "layer": 0, "position": 0, "place": 0, "token": ESC}
    page = example_page(pd.DataFrame([rows | {"probability": 0.5, "answer": ESC, "right": True}]), f"model{ESC}")
    assert not COMMANDS & set(page)
    assert SHOWN in page
