"""How many items each cell of a sequential evaluation took, and the intervals at which it stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables
from codingspot.evaluation.sequential import retention_intervals
from codingspot.report.rows import cell_row, edited
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.table import Column, Number, Table, Value
from codingspot.study.cells import ORIGINAL
from codingspot.tables import analysis_table, figure, texts, whole


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    if run.stopped is not None:
        yield Section(
            "Cells whose intervals settled early used few items; their rates are rounder than their verdict.",
            tables=(_table(run.stopped, summary),),
        )


def _table(table: pd.DataFrame, summary: RunSummary) -> Table:
    columns = [Column("edited", "Edited"), Column("k_percent", "k", "dose")]
    for kind in ("code", "general"):
        columns.append(Column(f"{kind}_items", "Items", "count", kind.capitalize()))
        columns.append(Column(f"{kind}_retention", "Retention", "retention", kind.capitalize(), has_range=True))
    rows = []
    for cell in summary.cells:
        own = table[table["cell"] == cell.cell.name].set_index("question")
        if len(own):
            rows.append(cell_row(summary, cell, *_edited(cell), *_values(cell, own)))
    used, available = int(table["items"].sum()), int(table["available"].sum())
    times = f"{available / used:.1f} times fewer" if used else ""
    saved = f" In all {used:,} of {available:,} items were evaluated, {times}." if used else ""
    caption = (
        "Each cell was evaluated item by item, in one random order, until its intervals settled on which side of the "
        "verdict's thresholds its retentions lie. The intervals are confidence sequences: they hold at every moment at "
        "once, so that stopping doesn't harm them, and they are for what all items would give. A cell that used all "
        f"its items was settled by nothing less.{saved}"
    )
    return Table("sequential", "Items that each cell took", caption, tuple(columns), tuple(rows))


def _edited(cell: CellSummary) -> tuple[Value, ...]:
    what, k = edited(cell)
    return (f"{what}, kept alone" if cell.cell.purpose == "sufficiency" else what), k


def _values(cell: CellSummary, own: pd.DataFrame) -> Iterator[Number]:
    for kind, value in (("code", cell.metrics.code_retention), ("general", cell.metrics.general_retention)):
        if kind not in own.index:
            yield from (Number(None), Number(None))
            continue
        items, low, high = (float(own[column].to_dict()[kind]) for column in ("items", "low", "high"))
        bounds = (None, None) if math.isnan(low) else (low, high)
        yield from (Number(items), Number(value, *bounds))


@ANALYSES.register(
    "sequential",
    label="How many items did it take?",
    traits=AnalysisTraits(
        {
            "sequential": analysis_table(
                *texts("cell", "question"), *map(whole, ("items", "available")), *map(figure, ("low", "high"))
            )
        },
        _sections,
        after="cells",
        place=90,
        asked=lambda study: bool(study.evaluation.sequential),
        key=lambda made: [made.study.evaluation.model_dump(mode="json"), made.tasks],
        names="cell",
    ),
)
def sequential(given: Given) -> Tables:
    """How many items each cell of a sequential evaluation took, and the interval at which it stopped."""
    assert given.plan is not None and given.outcomes is not None  # noqa: PT018 - it is made where these are
    chance = {task.name: task.chance for task in given.plan.tasks}
    evaluation = given.study.evaluation
    table = retention_intervals(
        given.outcomes, ORIGINAL, evaluation.questions(), chance, alpha=evaluation.sequential_alpha
    )
    return {"sequential": table}
