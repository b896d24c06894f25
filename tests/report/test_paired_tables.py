"""Areas and paired tests of a run whose effects are known."""

from pathlib import Path

import pytest
from synthetic_runs import BEHAVIOURS, RunMaker

from codingspot.report.comparisons import areas, paired_tests
from codingspot.report.run_files import read_run
from codingspot.report.summary import summarise
from codingspot.report.table import Number, Table


def tables(maker: RunMaker, folder: Path) -> tuple[Table, Table]:
    run = read_run(maker.write(folder))
    summary = summarise(run)
    return areas(run, summary), paired_tests(run, summary)


def area_of(table: Table, spot: str, edited: str) -> float:
    (value,) = [row.values[1] for row in table.rows if row.spot == spot and row.values[0] == edited]
    assert isinstance(value, Number)
    assert value.value is not None
    return value.value


def test_a_specific_spot_has_nearly_all_of_the_area_and_its_controls_none(maker: RunMaker, tmp_path: Path):
    found, _ = tables(maker.with_(behaviour=BEHAVIOURS["specific"]), tmp_path)
    assert area_of(found, "paper", "Spot") > 0.95
    assert area_of(found, "paper", "Matched random") == 0.0


def test_a_collapse_has_no_area(maker: RunMaker, tmp_path: Path):
    found, _ = tables(maker.with_(behaviour=BEHAVIOURS["collapse"]), tmp_path)
    assert area_of(found, "paper", "Spot") == pytest.approx(0.0, abs=1e-9)


def test_p_values_are_small_where_code_goes_and_one_where_nothing_does(maker: RunMaker, tmp_path: Path):
    _, gone = tables(maker.with_(behaviour=BEHAVIOURS["specific"]), tmp_path / "gone")
    _, kept = tables(maker.with_(behaviour=BEHAVIOURS["nothing"]), tmp_path / "kept")
    last = [row for row in gone.rows if row.spot == "paper" and row.values[1] == Number(1.0)]
    assert {row.values[0] for row in last} == {"Original model", "Matched random"}
    assert all(row.values[-1].value < 0.001 for row in last)  # type: ignore[union-attr, operator]
    assert all(row.values[-1] == Number(1.0) for row in kept.rows)


def test_a_model_at_chance_has_tests_but_no_area(maker: RunMaker, tmp_path: Path):
    found, tested = tables(maker.with_(accuracy=0.0), tmp_path)
    assert not found.rows
    assert tested.rows
