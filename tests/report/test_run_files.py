"""Damaged run directories are refused in one line that names the file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from synthetic_runs import RunMaker

from codingspot.errors import ArtefactError
from codingspot.evaluation.results import Results
from codingspot.report import build_report
from codingspot.report.run_files import read_run


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "plan.json": lambda run: cut(run / "plan.json"),
    "study.yaml": lambda run: (run / "study.yaml").write_text("- not\n- a study\n"),
    "results.parquet": lambda run: cut(run / "results.parquet"),
    "items.parquet": lambda run: cut(run / "items.parquet"),
    "density.parquet": lambda run: cut(run / "analysis" / "density.parquet"),
    "agreement.parquet": lambda run: pd.DataFrame({"x": [1]}).to_parquet(run / "analysis" / "agreement.parquet"),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_a_damaged_file_is_named_in_one_line(name: str, small: RunMaker, tmp_path: Path):
    run = small.write(tmp_path / "run")
    DAMAGE[name](run)
    with pytest.raises(ArtefactError) as caught:
        build_report(run)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (run / "report.html").exists()


def test_a_cell_without_results_is_named(small: RunMaker, tmp_path: Path):
    run = small.write(tmp_path / "run")
    results = Results.read(run)
    outcomes = results.outcomes[results.outcomes["cell"] != "paper-k1"]
    losses = results.losses[results.losses["cell"] != "paper-k1"]
    replace(results, outcomes=outcomes, losses=losses).write(run, force=True)
    with pytest.raises(ArtefactError, match="no results for cell 'paper-k1'"):
        read_run(run)


def test_a_plan_must_begin_with_the_original_model(small: RunMaker, tmp_path: Path):
    run = small.write(tmp_path / "run")
    plan = json.loads((run / "plan.json").read_text())
    plan["cells"] = plan["cells"][1:]
    (run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ArtefactError, match="does not begin with the original model"):
        read_run(run)


def test_a_run_without_analysis_still_reports(small: RunMaker, tmp_path: Path):
    run = small.with_(analysis=False).write(tmp_path / "run")
    assert read_run(run).density is None
    page = build_report(run).read_text()
    assert "not specific" in page
    assert not (run / "figures" / "density.png").exists()
