"""A table as data, and its renderings: Markdown and LaTeX for reading, CSV with full precision for computing."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from codingspot.escaping import visible
from codingspot.report.labels import MINUS, MISSING, dose, fixed, ratio, signed

Kind = Literal["text", "dose", "share", "count", "rate", "change", "score", "retention", "ratio", "p_value", "nats"]
Role = Literal["original", "spot", "control"]
_ROW_KEY: Final = "spot"
"""First column of a table's CSV: whose row it is."""


@dataclass(frozen=True)
class Number:
    """A value, perhaps with a range around it (an interval, or the smallest and largest over seeds) and a change.

    ``value`` is None where the quantity isn't defined. ``change`` is in percent.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    change: float | None = None


Value = str | Number


def number(value: float) -> Number:
    """A value; not defined where it is not a number."""
    return Number(None if math.isnan(value) else float(value))


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are defined; None where none is."""
    defined = [float(value) for value in values if value is not None]
    return fmean(defined) if defined else None


@dataclass(frozen=True)
class Column:
    """One column. ``key`` heads it in CSV, ``header`` elsewhere; ``group`` is a heading over several columns."""

    key: str
    header: str
    kind: Kind = "text"
    group: str = ""
    has_change: bool = False
    has_range: bool = False

    @property
    def has_side(self) -> bool:
        """Whether something may stand beside its values."""
        return self.has_change or self.has_range


@dataclass(frozen=True)
class Row:
    """One row, with one value for each column. Rows of one spot stand together under its ``heading``."""

    spot: str
    heading: str
    role: Role
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Table:
    """A named table with a caption that says how its numbers were made."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        keys = [_ROW_KEY, *(key for column in self.columns for key in _csv_keys(column))]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"table {self.name} would have a column twice in its CSV: {', '.join(sorted(repeated))}")

    @property
    def has_rows(self) -> bool:
        """Whether there is a row of an edited model."""
        return any(row.role != "original" for row in self.rows)

    def sections(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """Each heading with its rows, in order."""
        for heading in dict.fromkeys(row.heading for row in self.rows):
            yield heading, tuple(row for row in self.rows if row.heading == heading)

    def groups(self) -> list[tuple[str, int]]:
        """Runs of columns under one heading: the heading ("" for none) and how many columns it spans."""
        runs: list[tuple[str, int]] = []
        for column in self.columns:
            if runs and column.group and runs[-1][0] == column.group:
                runs[-1] = (column.group, runs[-1][1] + 1)
            else:
                runs.append((column.group, 1))
        return runs


def _plain(value: float, kind: Kind) -> str:
    match kind:
        case "count":
            return f"{round(value):,}"
        case "dose":
            return "∞" if math.isinf(value) else dose(value)
        case "share":
            return f"{float(f'{value:.2g}'):g}%"
        case "rate":
            return fixed(100 * value, 1)
        case "change":
            return f"{signed(value, 1)}%"
        case "ratio":
            return ratio(value)
        case "nats":
            return signed(value, 3)
        case "p_value":
            return fixed(value, 3) if value >= 0.001 else "<0.001"
        case _:
            return fixed(value, 2)


def main_text(value: Value, column: Column) -> str:
    """The value itself, rounded for reading; the dash of a missing value where it isn't defined."""
    if isinstance(value, str):
        return value
    return MISSING if value.value is None else _plain(value.value, column.kind)


def side_text(value: Value, column: Column) -> str:
    """What stands beside the value: its change in percent, then its range; empty where it has neither."""
    if isinstance(value, str) or value.value is None:
        return ""
    parts = [] if value.change is None else [f"{signed(value.change, 1)}%"]
    if value.low is not None and value.high is not None:
        low, high = _plain(value.low, column.kind), _plain(value.high, column.kind)
        parts += [f"{low} to {high}"] if low != high else []
    return f"({'; '.join(parts)})" if parts else ""


def display(value: Value, column: Column) -> str:
    """The value with what stands beside it."""
    return f"{main_text(value, column)} {side_text(value, column)}".rstrip()


def to_csv(table: Table) -> str:
    """The table as CSV: full precision, one column for each number, empty where a number isn't defined.

    Rates are in 0-1. A change in percent is a further column ``KEY_change_percent``; a range is two more,
    ``KEY_low`` and ``KEY_high``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_ROW_KEY, *(key for column in table.columns for key in _csv_keys(column))])
    for row in table.rows:
        cells = [
            cell for value, column in zip(row.values, table.columns, strict=True) for cell in _csv_cells(value, column)
        ]
        writer.writerow([row.spot, *cells])
    return text.getvalue()


def _csv_keys(column: Column) -> list[str]:
    keys = [column.key]
    if column.has_change:
        keys.append(f"{column.key}_change_percent")
    if column.has_range:
        keys += [f"{column.key}_low", f"{column.key}_high"]
    return keys


def _csv_cells(value: Value, column: Column) -> list[str]:
    if isinstance(value, str):
        return [value] + [""] * (len(_csv_keys(column)) - 1)
    numbers = [value.value]
    if column.has_change:
        numbers.append(value.change)
    if column.has_range:
        numbers += [value.low, value.high]
    if column.kind == "count":
        return ["" if number is None else f"{number:g}" if number % 1 else str(int(number)) for number in numbers]
    return ["" if number is None else repr(float(number)) for number in numbers]


def to_markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown with its title and caption; one sub-heading a section."""
    lines = [f"# {_markdown(table.title)}", "", _markdown(table.caption), ""]
    for heading, rows in table.sections():
        lines += [f"## {_markdown(heading)}", ""] if heading else []
        lines.append(_markdown_row([column.header for column in table.columns]))
        lines.append("|" + "|".join(":--" if column.kind == "text" else "--:" for column in table.columns) + "|")
        for row in rows:
            shown = [display(value, column) for value, column in zip(row.values, table.columns, strict=True)]
            lines.append(_markdown_row(shown))
        lines.append("")
    return "\n".join(lines)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(visible(text).split()))


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    MINUS: r"\ensuremath{-}",
    MISSING: "--",
    "×": r"\ensuremath{\times}",
    "∞": r"\ensuremath{\infty}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "Δ": r"\ensuremath{\Delta}",
}


def latex_escape(text: str) -> str:
    """``text`` with every character that LaTeX would interpret escaped, on one line."""
    return "".join(_LATEX.get(character, character) for character in " ".join(visible(text).split()))


def to_latex(table: Table) -> str:
    """The table as a LaTeX ``table`` float; needs the package ``booktabs`` and nothing else."""
    alignment = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}; \\usepackage[T1]{fontenc} for straight quotes",
        r"\begin{table}",
        r"\centering",
        r"\small",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        *_latex_groups(table),
        " & ".join(latex_escape(column.header) for column in table.columns) + r" \\",
    ]
    for heading, rows in table.sections():
        lines.append(r"\midrule")
        if heading:
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\textit{{{latex_escape(heading)}}}}} \\")
        for row in rows:
            shown = [display(value, column) for value, column in zip(row.values, table.columns, strict=True)]
            lines.append(" & ".join(latex_escape(text) for text in shown) + r" \\")
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{latex_escape(table.title)}. {latex_escape(table.caption)}}}",
        rf"\label{{tab:{re.sub('[^a-z0-9]+', '-', table.name.lower())}}}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _latex_groups(table: Table) -> list[str]:
    groups = table.groups()
    if not any(heading for heading, _ in groups):
        return []
    cells, rules, start = [], [], 1
    for heading, span in groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{latex_escape(heading)}}}" if heading else "")
        if heading:
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    return [" & ".join(cells) + r" \\", " ".join(rules)]
