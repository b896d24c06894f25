"""The report in a terminal 80 columns wide: the paper's three tables for the first spot, and the two sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from codingspot.escaping import visible
from codingspot.report.labels import signed
from codingspot.report.provenance import fewer_phrase, perplexity_phrase
from codingspot.report.run_files import read_run
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Column, Row, Table, Value, main_text
from codingspot.report.tables import counterfactual, dose_response, monosemanticity, perplexity
from codingspot.report.words import headline

WIDTH: Final = 80
_SHORT: Final = 5
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
        shown.append(_text(summary.title(spot), "bold"))
        tables = (dose_response(run, summary), counterfactual(run, summary), monosemanticity(run, summary))
        for table in tables if summary.plan.tasks else ():
            rows = [row for row in table.rows if row.spot == spot]
            if rows:
                shown += [_text(f"\n{table.title}", "bold"), _table(table, rows)]
        if summary.plan.tasks:
            shown.append(_text(f"\n{_key(tables[0])}", "dim"))
        table = perplexity(run, summary)
        for row_spot in dict.fromkeys(row.spot for row in table.rows):
            rows = [row for row in table.rows if row.spot == row_spot]
            shown += [_text(f"\n{table.title}, {row_spot}", "bold"), _by_domain(table, rows)]
        if table.rows:
            shown.append(_text(f"\nOf held-out text: {perplexity_phrase(run)}.", "dim"))
        if fewer_phrase(run):
            shown.append(_text(f"\n{fewer_phrase(run).strip()}", "dim"))
    return [*shown, *(_text(f"\n{sentence}") for sentence in headline(summary, findings)), Text()]


def _text(text: str, style: str = "") -> Text:
    """Text that holds no markup, and nothing that would command a terminal."""
    return Text(visible(text), style=style)


def _table(table: Table, rows: Sequence[Row]) -> RichTable:
    headings = _headings(table.columns)
    cells = {
        column.key: [heading, *(_cell(row.values[place], column) for row in rows)]
        for place, (column, heading) in enumerate(zip(table.columns, headings, strict=True))
        if column.group != "Other"
    }
    shown = RichTable(header_style="dim", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    fitting = [column for column in table.columns if column.key in _fitting(table.columns, cells)]
    for column in fitting:
        is_text = column.kind == "text"
        shown.add_column(
            _text(cells[column.key][0]),
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
        )
    for number, row in enumerate(rows, start=1):
        shown.add_row(*(_text(cells[column.key][number]) for column in fitting), style=_STYLES[row.role])
    return shown


def _by_domain(table: Table, rows: Sequence[Row]) -> RichTable:
    """A row a domain and a column a dose: there may be more domains than fit side by side."""
    shown = RichTable(header_style="dim", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column("")
    edited, k = table.columns[:2]
    for row in rows:
        text = " ".join(filter(None, (_cell(row.values[0], edited), _dose(row.values[1], k))))
        shown.add_column(_text(text), justify="right", overflow="fold", style=_STYLES[row.role])
    for place, column in enumerate(table.columns[2:], start=2):
        shown.add_row(_text(column.header), *(_text(main_text(row.values[place], column)) for row in rows))
    return shown


def _dose(value: Value, column: Column) -> str:
    return "" if isinstance(value, str) or value.value is None else main_text(value, column)


def _fitting(columns: Sequence[Column], cells: Mapping[str, Sequence[str]]) -> set[str]:
    """Keys of all columns there are cells of, or without single tasks where all don't fit."""
    if sum(1 + max(map(len, texts)) for texts in cells.values()) <= WIDTH + 1:
        return set(cells)
    return {column.key for column in columns if column.key in cells and not _is_task(column)}


def _is_task(column: Column) -> bool:
    return column.kind == "rate" and not column.has_change and column.group in ("General", "Code")


def _headings(columns: Sequence[Column]) -> list[str]:
    """One short heading a column; those of tasks are abbreviated, and numbered where they would be the same."""
    tasks = [column.header for column in columns if _is_task(column)]
    starts = Counter(header[:_SHORT] for header in tasks)
    short = {
        header: header[:_SHORT] if starts[header[:_SHORT]] == 1 else f"{header[: _SHORT - 2]}{number}"
        for number, header in enumerate(tasks, start=1)
    }
    return [
        "" if column.kind == "text" else "Code" if column.key == "code" else short.get(column.header, column.header)
        for column in columns
    ]


def _cell(value: Value, column: Column) -> str:
    text = main_text(value, column)
    if isinstance(value, str):
        return text.removesuffix(" random")
    if value.change is not None:
        return f"{text} ({signed(value.change, 0)}%)"
    return text


def _key(table: Table) -> str:
    """What the abbreviated headings stand for."""
    named = zip(_headings(table.columns), table.columns, strict=True)
    short = [f"{heading} = {c.header}" for heading, c in named if _is_task(c) and heading != c.header]
    means = "Rates in percent, k in percent of all parameters, in brackets relative changes; random: means over seeds"
    return f"{'; '.join([means, *short])}."
