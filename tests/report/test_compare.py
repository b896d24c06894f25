"""A run beside published figures."""

from pathlib import Path

import pytest
from synthetic_runs import RunMaker

from codingspot.errors import StudyError
from codingspot.report.compare import compare
from codingspot.report.table import Number

LLAMA = "meta-llama/Llama-3.2-3B-Instruct"


def test_each_published_row_is_followed_by_the_run_s_under_the_same_condition(run_directory: Path):
    table, differences = compare(run_directory, "codellama/CodeLlama-7b-Instruct-hf")
    rows = [row.values for row in table.rows]
    assert rows[0][:2] == ("paper", "original")
    assert rows[0][-1] == Number(0.872)
    assert rows[1][:2] == ("this run", "original")
    by_condition = [row[1:3] for row in rows]
    place = by_condition.index(("spot", Number(0.0025)))
    assert rows[place + 1][0] == "this run"
    assert rows[place + 1][2] == Number(0.0025)
    assert any(row[:2] == ("this run", "uniform") for row in rows)
    assert any("small sisters" in line for line in differences)
    assert any(line.startswith("model: testbed") for line in differences)


def test_the_spot_by_the_paper_s_recipe_is_shown_wherever_it_stands(maker: RunMaker, tmp_path: Path):
    first, *others = maker.spots
    moved = maker.with_(spots=(*others, first)).write(tmp_path / "moved")
    table, differences = compare(moved, LLAMA)
    expected, _ = compare(maker.write(tmp_path / "run"), LLAMA)
    assert table.rows == expected.rows
    assert any(line.startswith("k of the run's spot paper: ") for line in differences)


def test_the_replication_and_its_conditions_are_there(run_directory: Path):
    table, _ = compare(run_directory, LLAMA)
    assert {"paper", "replication", "this run"} == {row.values[0] for row in table.rows}
    assert "bottom" in {row.values[1] for row in table.rows}


def test_an_unknown_model_is_named_with_those_there_are(run_directory: Path):
    with pytest.raises(StudyError, match=r"nothing was published for 'x'; there are figures for .*Llama-3.2-3B"):
        compare(run_directory, "x")


def test_the_run_s_own_model_is_the_default(maker: RunMaker, tmp_path: Path):
    table, differences = compare(maker.with_(model_id=LLAMA).write(tmp_path / "run"))
    assert table.title.startswith(LLAMA)
    assert not any(line.startswith("model:") for line in differences)


def test_a_run_without_published_figures_says_whose_are_shown(run_directory: Path):
    _, differences = compare(run_directory)
    (said,) = (line for line in differences if line.startswith("published: nothing for "))
    assert "codellama/CodeLlama-7b-Instruct-hf is shown" in said
    assert "meta-llama/Llama-3.2-3B-Instruct" in said
