"""`codingspot eval` on local rows of the harness's own tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.evaluation.results import Results

_ROWS = [
    {"sentence": f"The {a} is larger than the {b}, so the _ is smaller.", "option1": a, "option2": b, "answer": "2"}
    for a, b in (("box", "cup"), ("tree", "leaf"), ("house", "door"))
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "validation.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in _ROWS))
    return path


def test_a_task_reads_the_rows_it_is_given(rows: Path, tmp_path: Path) -> None:
    options = ["--task", "winogrande", "--data", f"winogrande={rows}", "--subsample", "2", "--unsafe-no-sandbox"]
    result = CliRunner().invoke(app, ["eval", "testbed", *options, "--json", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["winogrande"]
    assert (told["items"], told["chance"]) == (2, 0.5)
    assert 0 <= told["low"] <= told["rate"] <= told["high"] <= 1
    assert "winogrande" in result.output
    assert len(Results.read(tmp_path / "out").outcomes) == 2


def test_data_of_no_task_is_refused(rows: Path, tmp_path: Path) -> None:
    options = ["--task", "winogrande", "--data", f"hellaswag={rows}"]
    result = CliRunner().invoke(app, ["eval", "testbed", *options, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()
