"""Further doses, chosen from results that are known beforehand: no model is run."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.study import parse_study
from codingspot.study.cells import ORIGINAL, Cell, ModelSummary, Plan, Task
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.planning import plan_cells
from codingspot.study.refinement import refine

PARAMETERS = 1_000_000
ONSET, GENERAL = 0.037, 0.4
"""Doses at which code is gone, and general ability starts to suffer."""


def _study(precision: str) -> Study:
    return parse_study(
        f"name: s\nspots: [{{name: a, k_percent: [0.001, 0.1, 1], controls: [uniform]{precision}}}]", "s.yaml"
    )


def _results(cell: Cell, able: bool = True) -> Results:
    code = 0 if not able or (cell.k_percent >= ONSET and cell.control is None) else 1
    general = 0.8 if cell.k_percent >= GENERAL and cell.control is None else 1.0
    items = [ItemOutcome("code", i, float(code), "") for i in range(10)]
    items += [ItemOutcome("general", i, float(i < 100 * general), "") for i in range(100)]
    return Results.of_cell(cell.name, items)


class Runner:
    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.ran: list[float] = []

    def __call__(self, cells: Sequence[Cell]) -> None:
        for cell in self.directory.unfinished(cells):
            self.ran.append(cell.k_percent)
            self.directory.save_cell(cell, _results(cell))


def _plan(study: Study) -> Plan:
    tasks = [("code", "code", 0.0, 10), ("general", "general", 0.0, 100)]
    return Plan(
        study="s",
        model=ModelSummary(id="m", revision=None, fingerprint="f", parameters=PARAMETERS, scopes={"all": PARAMETERS}),
        tasks=tuple(Task(name=n, role=r, chance=c, items=i) for n, r, c, i in tasks),  # type: ignore[arg-type]
        domains=(),
        cells=plan_cells(study, PARAMETERS),
    )


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    made = RunDirectory(tmp_path)
    for cell in plan_cells(_study(""), PARAMETERS):
        made.save_cell(cell, _results(cell))
    return made


def test_both_crossings_are_bracketed_as_closely_as_asked(directory: RunDirectory):
    study = _study(", precision: 0.05")
    runner = Runner(directory)
    cells = refine(study, _plan(study), directory, runner)
    assert [cell.k_percent for cell in cells] == runner.ran
    assert all(cell.purpose == "refinement" and cell.spot == "a" and cell.control is None for cell in cells)
    assert all(cell.parameters == round(cell.k_percent / 100 * PARAMETERS) for cell in cells)
    doses = sorted([0.001, 0.1, 1, *runner.ran])
    for crossing in (ONSET, GENERAL):
        below, past = max(k for k in doses if k < crossing), min(k for k in doses if k >= crossing)
        assert past / below <= 10**0.05
    assert len(runner.ran) <= 12


def test_a_stopped_refinement_goes_the_same_way_over_what_is_saved(directory: RunDirectory):
    study = _study(", precision: 0.1")
    first = Runner(directory)

    def stopping(cells: Sequence[Cell]) -> None:
        if len(first.ran) == 3:
            raise KeyboardInterrupt
        first(cells)

    with pytest.raises(KeyboardInterrupt):
        refine(study, _plan(study), directory, stopping)
    second = Runner(directory)
    cells = refine(study, _plan(study), directory, second)
    assert [cell.k_percent for cell in cells] == first.ran + second.ran
    assert refine(study, _plan(study), directory, second) == cells


def test_no_onset_is_sought_where_no_problem_was_solved_to_begin_with(tmp_path: Path):
    study, unable = _study(", precision: 0.05"), RunDirectory(tmp_path / "unable")
    for cell in plan_cells(study, PARAMETERS):
        unable.save_cell(cell, _results(cell, able=False))
    ran: list[float] = []

    def run(cells: Sequence[Cell]) -> None:
        for cell in cells:
            ran.append(cell.k_percent)
            unable.save_cell(cell, _results(cell, able=False))

    refine(study, _plan(study), unable, run)
    assert ran  # general ability is followed all the same
    assert min(ran) >= 0.1


def test_nothing_without_a_precision(directory: RunDirectory):
    study = _study("")
    assert refine(study, _plan(study), directory, Runner(directory)) == ()
    assert directory.cell_results(ORIGINAL).cells() == [ORIGINAL]
