"""A run beside the figures that others published, column by column, and what differs in how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from codingspot.ablation import CONTROLS
from codingspot.errors import StudyError
from codingspot.evaluation.published import (
    CODE_TASK,
    GENERAL_TASKS,
    PublishedCell,
    paper_cells,
    replication_cells,
    setup_note,
)
from codingspot.report.labels import control_label, dose, task_label
from codingspot.report.provenance import decoding_phrase, estimator_phrase, items_phrase
from codingspot.report.run_files import Run, read_run
from codingspot.report.summary import CellSummary, RunSummary, summarise
from codingspot.report.table import Column, Number, Row, Table, Value
from codingspot.spot import RECIPES
from codingspot.study.cells import Plan

PUBLISHED_TASKS = (*GENERAL_TASKS, CODE_TASK)
_SAME = {
    "gsm8k": ("gsm8k",),
    "hellaswag": ("hellaswag",),
    "mmlu": ("mmlu",),
    "truthfulqa": ("truthfulqa_mc2",),
    "winogrande": ("winogrande",),
    "humaneval": ("humaneval", "humaneval_instruct"),
}
_SISTERS = {
    "gsm8k": "testbed_arithmetic",
    "hellaswag": "testbed_events",
    "mmlu": "testbed_knowledge",
    "truthfulqa": "testbed_misconceptions",
    "winogrande": "testbed_roles",
    "humaneval": "testbed_humaneval",
}


def compare(directory: Path, model: str | None = None) -> tuple[Table, tuple[str, ...]]:
    """The run's spot by the paper's recipe beside published figures of ``model``, by default its own or the first.

    Returns a table of rates in percent and, in one line each, what differs in the set-up.

    Raises:
        ArtefactError: the run directory is incomplete or corrupt.
        StudyError: nothing was published for ``model``; the message lists the models there are.
    """
    run = read_run(directory)
    summary = summarise(run)
    cells = [*paper_cells(), *replication_cells()]
    known = list(dict.fromkeys(cell.model for cell in cells))
    if model is not None and model not in known:
        raise StudyError(f"nothing was published for {model!r}; there are figures for {', '.join(known)}")
    chosen = model or (run.model_name() if run.model_name() in known else known[0])
    columns = {task: _task(run, task) for task in PUBLISHED_TASKS}
    rows = [
        row
        for cell in cells
        if cell.model == chosen
        for row in (_published_row(cell), *_run_rows(cell, summary, columns))
    ]
    headings = tuple(Column(task, task_label(task), "rate") for task in PUBLISHED_TASKS)
    table = Table(
        "compare",
        f"{chosen}: published, and {run.plan.study} on {run.model_name()}",
        "Rates in percent of items; a published row is followed by the run's own under the same condition and k.",
        (Column("who", "Whose"), Column("what", "What"), Column("k_percent", "k", "dose"), *headings),
        tuple(rows),
    )
    return table, _differences(run, chosen, known, columns)


def _task(run: Run, published: str) -> str | None:
    """The run's task that is the published one or, failing that, its small sister."""
    names = [task.name for task in run.plan.tasks]
    candidates = [*_SAME[published], _SISTERS[published]]
    return next((name for name in candidates if name in names), None)


def _published_row(cell: PublishedCell) -> Row:
    who = "paper" if cell in paper_cells() else "replication"
    rates = (Number(cell.rates[task]) for task in PUBLISHED_TASKS)
    return Row("", "", "control", (who, cell.condition, Number(cell.k_percent), *rates))


def _run_rows(cell: PublishedCell, summary: RunSummary, columns: dict[str, str | None]) -> list[Row]:
    found = _matching(cell, summary)
    if not found:
        return []
    edited = found[0].cell
    what = "original" if cell.condition == "original" else control_label(edited.control)
    values: list[Value] = [
        "this run",
        what.removesuffix(" random"),
        Number(None if cell.k_percent is None else edited.k_percent),
    ]
    values += [_mean(found, task) for task in columns.values()]
    return [Row("", "", "spot", tuple(values))]


def _matching(cell: PublishedCell, summary: RunSummary) -> Sequence[CellSummary]:
    if cell.condition == "original" or cell.k_percent is None:
        return [summary.original]
    spot = _spot(summary.plan)
    controls = [c for c in summary.controls(spot) if CONTROLS.traits_if_known(c).published == cell.condition]
    conditions = [None] if cell.condition == "spot" else controls
    return [found for control in conditions for found in summary.at(spot, control, cell.k_percent)]


def _spot(plan: Plan) -> str:
    """The first spot by a recipe of the paper's or, failing that, the first there is."""
    recipes = {cell.spot: RECIPES.traits_if_known(cell.recipe or "") for cell in plan.cells if cell.spot}
    names = plan.spots()
    return next((name for name in names if recipes[name].of_the_paper), names[0] if names else "")


def _mean(cells: Sequence[CellSummary], task: str | None) -> Number:
    return Number(None if task is None else fmean(cell.metrics.rates[task] for cell in cells if cell.metrics.rates))


def _differences(run: Run, model: str, known: Sequence[str], columns: dict[str, str | None]) -> tuple[str, ...]:
    lines = []
    if run.model_name() != model:
        lines.append(f"model: {run.model_name()} ({run.plan.model.parameters:,} parameters), not {model}")
        if run.model_name() not in known:
            lines.append(
                f"published: nothing for {run.model_name()}; {model} is shown, and --model may name another of "
                f"{', '.join(known)}"
            )
    sisters = [task_label(task) for task, own in columns.items() if own is not None and own == _SISTERS[task]]
    if sisters:
        lines.append(f"tasks: small sisters made for the testbed stand for {', '.join(sisters)}")
    missing = [task_label(task) for task, own in columns.items() if own is None]
    if missing:
        lines.append(f"not evaluated in this run: {', '.join(missing)}")
    lines.append(f"items: {items_phrase(run)}")
    lines.append(f"code: {decoding_phrase(run)}")
    lines.append(f"scores: {estimator_phrase(run)}")
    spot = _spot(run.plan)
    doses = [dose(cell.k_percent) for cell in run.plan.cells if cell.spot == spot and cell.control is None]
    lines.append(f"k of the run's spot {spot}: {', '.join(dict.fromkeys(doses))}")
    lines.append(f"published figures: {setup_note()}")
    return tuple(lines)
