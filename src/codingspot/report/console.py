"""The report in a terminal 80 columns wide: the paper's three tables for the first spot, and the two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from codingspot.report.labels import signed
from codingspot.report.run_files import read_run
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Column, Row, Table, Value, main_text
from codingspot.report.tables import counterfactual, dose_response, monosemanticity
from codingspot.report.words import headline

WIDTH: Final = 80
_EDITED_WIDTH: Final = 8
_DOSE_WIDTH: Final = 7
_RATE_WIDTH: Final = 5
_CHANGED_WIDTH: Final = 12
_STYLES: Final = {"original": "dim", "spot": "", "control": "dim"}


def console_report(directory: Path) -> list[RenderableType]:
    """What to print after a run: rich renderables no wider than 80 columns.

    Raises:
        ArtefactError: the run directory is incomplete or corrupt.
    """
    run = read_run(directory)
    summary = summarise(run)
    findings = judge_all(summary, run.density)
    shown: list[RenderableType] = []
    if findings:
        spot = findings[0].spot
        shown.append(Text(summary.title(spot), style="bold"))
        tables = (dose_response(run, summary), counterfactual(run, summary), monosemanticity(run, summary))
        shown += [_table(table, spot) for table in tables if any(row.spot == spot for row in table.rows)]
        shown.append(_key(tables[0]))
    shown.append(Padding(Group(*(Text(f"{sentence}\n") for sentence in headline(summary, findings))), (1, 0, 0, 0)))
    return shown


def _table(table: Table, spot: str) -> RichTable:
    rows = [row for row in table.rows if row.spot == spot]
    columns = _fitting(table.columns)
    shown = RichTable(
        title=f"\n{table.title}",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        shown.add_column(_heading(column), justify="left" if column.kind == "text" else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*_cells(row, table.columns, columns), style=_STYLES[row.role])
    return shown


def _fitting(columns: Sequence[Column]) -> list[Column]:
    """All columns, or without single tasks where all don't fit."""
    kept = [column for column in columns if column.group != "Other"]
    if sum(_width(column) + 1 for column in kept) <= WIDTH + 1:
        return kept
    return [column for column in kept if column.kind != "rate" or column.has_change]


def _width(column: Column) -> int:
    if column.kind == "text":
        return _EDITED_WIDTH
    if column.kind == "dose":
        return _DOSE_WIDTH
    return _CHANGED_WIDTH if column.has_change else max(_RATE_WIDTH, len(_heading(column)))


def _heading(column: Column) -> str:
    if column.kind == "text":
        return ""
    if column.key == "code":
        return "Code"
    if column.kind == "rate" and not column.has_change and column.group:
        return column.header[:_RATE_WIDTH]
    return column.header


def _cells(row: Row, columns: Sequence[Column], shown: Sequence[Column]) -> list[str]:
    return [_text(value, column) for value, column in zip(row.values, columns, strict=True) if column in shown]


def _text(value: Value, column: Column) -> str:
    text = main_text(value, column)
    if isinstance(value, str):
        return text.removesuffix(" random")
    if value.change is not None:
        return f"{text} ({signed(value.change, 0)}%)"
    return text


def _key(table: Table) -> Text:
    """What the abbreviated headings stand for."""
    tasks = [column for column in table.columns if column.kind == "rate" and column.group == "General"]
    short = [f"{_heading(c)} = {c.header}" for c in tasks if not c.has_change and _heading(c) != c.header]
    means = "Rates in percent, k in percent of all parameters, in brackets relative changes; random: means over seeds"
    return Text(f"\n{'; '.join([means, *short])}.", style="dim")
