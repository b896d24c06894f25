"""Rows of a report's tables from the rows of an analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from codingspot.report.labels import control_label
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.table import Number, Row, Value


def over(values: pd.Series) -> Number:
    """Mean, with the smallest and largest where there are several; not defined of none."""
    if not len(values):
        return Number(None)
    spread = (float(values.min()), float(values.max())) if len(values) > 1 else (None, None)
    return Number(float(values.mean()), *spread)


def defined(value: float) -> float | None:
    """None for what is not a number."""
    return None if math.isnan(value) else float(value)


def at_doses(summary: RunSummary, table: pd.DataFrame) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """Spot, dose and rows of each dose of a spot that ``table`` knows, in the plan's order."""
    for spot in summary.plan.spots():
        for k in summary.doses(spot):
            rows = table[(table["spot"] == spot) & (table["k_percent"] == k)]
            if len(rows):
                yield spot, k, rows


def cell_row(summary: RunSummary, cell: CellSummary, *values: Value) -> Row:
    """The row of one cell, under its spot's heading."""
    spot = str(cell.cell.spot)
    return Row(spot, summary.title(spot), "control" if cell.cell.control else "spot", values)


def edited(cell: CellSummary) -> tuple[Value, ...]:
    """What was edited, and its dose: the first two values of a cell's row."""
    return control_label(cell.cell.control).capitalize(), Number(cell.cell.k_percent)
