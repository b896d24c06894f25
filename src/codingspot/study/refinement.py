"""Doses between those of the grid: the onset k* and k chosen by rule, known as closely as the study asks.

After the grid, each spot that asks for a precision is bisected in log k, once for the first dose with pass@1 below 1%
and once for the first with general retention below 0.95. Each step is a cell of its own, chosen from the results of
those before it; a run that was stopped goes the same way again over what is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from codingspot.evaluation.doses import crossing, next_dose
from codingspot.evaluation.metrics import CellMetrics, cell_metrics, task_rates
from codingspot.evaluation.results import Results
from codingspot.evaluation.sequential import on_common_items
from codingspot.study.cells import ORIGINAL, Cell, Plan
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.planning import refined_cell
from codingspot.study.spot_section import SpotSection

CONDITIONS: dict[str, Callable[[CellMetrics], bool]] = {
    "onset": lambda metrics: bool(metrics.code_gone),
    "kept": lambda metrics: bool(metrics.general_lost),
}
"""What comes true at the onset, and where general ability stops being kept."""


def refine(
    study: Study, plan: Plan, directory: RunDirectory, run: Callable[[Sequence[Cell]], None]
) -> tuple[Cell, ...]:
    """Run the further cells that the study's spots need, the next of every spot together; all, spot by spot."""
    steps = {
        section.name: _bisect(study, section, plan, directory)
        for section in study.spots
        if section.precision is not None
    }
    found: dict[str, list[Cell]] = {name: [] for name in steps}
    while wanted := {name: cell for name, cells in steps.items() if (cell := next(cells, None)) is not None}:
        run(list(wanted.values()))
        for name, cell in wanted.items():
            found[name].append(cell)
    return tuple(cell for cells in found.values() for cell in cells)


def _bisect(study: Study, section: SpotSection, plan: Plan, directory: RunDirectory) -> Iterator[Cell]:
    """The cells that a spot needs: each must have been run before the next is asked for."""
    total = plan.model.parameters
    metrics = {
        cell.k_percent: _metrics(plan, directory, cell.name)
        for cell in plan.cells
        if cell.spot == section.name and cell.control is None and cell.purpose == "dose"
        if study.evaluation.asks_at(cell)
    }
    for condition in CONDITIONS.values():
        while True:
            doses = sorted(metrics)
            at = crossing(doses, [condition(metrics[k]) for k in doses])
            k = next_dose(at, 100 / total, section.precision or 0.0)
            if k is None:
                break
            cell = refined_cell(study, section, total, k)
            yield cell
            metrics[k] = _metrics(plan, directory, cell.name)


def _metrics(plan: Plan, directory: RunDirectory, cell: str) -> CellMetrics:
    both = Results.concat([directory.cell_results(ORIGINAL), directory.cell_results(cell)])
    few = cell in directory.asked()  # drawn at random, so that they stand for all of the original's
    rates = task_rates(both.outcomes if few else on_common_items(both.outcomes, [ORIGINAL, cell]))
    return cell_metrics(
        rates.get(cell, {}),  # a study may have no task
        rates.get(ORIGINAL, {}),
        code=_names(plan, "code"),
        general=_names(plan, "general"),
        chance={task.name: task.chance for task in plan.tasks},
    )


def _names(plan: Plan, role: str) -> Sequence[str]:
    return [task.name for task in plan.tasks if task.role == role]
