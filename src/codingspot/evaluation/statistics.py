"""95% intervals: of every cell's figures by resampling items, and of single rates by Wilson's score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from codingspot.evaluation.metrics import retention
from codingspot.evaluation.resampling import Array, Resampled, Resampling

_TAIL = 2.5  # percent on either side
_QUANTILE = 1.959963984540054  # of the normal distribution, at the upper tail


class Interval(NamedTuple):
    """A 95% interval."""

    low: float
    high: float


@dataclass(frozen=True)
class CellIntervals:
    """Intervals of one cell's figures; None where a figure is not defined. Differences are cell minus original.

    Attributes:
        rates, differences, retentions: of each task.
        average, average_difference, general_retention: over the general tasks.
        code, code_difference, code_retention: over the code tasks.
    """

    rates: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    retentions: Mapping[str, Interval | None]
    average: Interval | None
    average_difference: Interval | None
    general_retention: Interval | None
    code: Interval | None
    code_difference: Interval | None
    code_retention: Interval | None


def bootstrap_intervals(
    resampling: Resampling, *, code: Sequence[str], general: Sequence[str]
) -> dict[str, CellIntervals]:
    """95% intervals of every cell's rates, differences and retentions.

    Args:
        resampling: the outcomes of all cells, resampled.
        code, general: names of the code and the general tasks; other tasks get intervals of their own only.

    Returns:
        Cell to its intervals, in order of appearance.

    Raises:
        EvaluationError: a cell lacks items that another has.
    """
    tasks, number = resampling.tasks, len(resampling.cells)
    rates = {task: percentile_intervals(resampling.rate(task).drawn) for task in tasks}
    differences = {task: percentile_intervals(resampling.difference(task).drawn) for task in tasks}
    retentions = {task: _intervals(resampling.retention(task), number) for task in tasks}
    general_rates, general_differences, general_retentions = _of_means(resampling, general)
    code_rates, code_differences, code_retentions = _of_means(resampling, code)
    return {
        cell: CellIntervals(
            rates={task: intervals[row] for task, intervals in rates.items()},
            differences={task: intervals[row] for task, intervals in differences.items()},
            retentions={task: intervals[row] for task, intervals in retentions.items()},
            average=general_rates[row],
            average_difference=general_differences[row],
            general_retention=general_retentions[row],
            code=code_rates[row],
            code_difference=code_differences[row],
            code_retention=code_retentions[row],
        )
        for row, cell in enumerate(resampling.cells)
    }


def _of_means(resampling: Resampling, tasks: Sequence[str]) -> list[Sequence[Interval | None]]:
    """Intervals of the mean rate, difference and retention over tasks, one a cell."""
    figures = (resampling.rates(tasks), resampling.differences(tasks), resampling.retentions(tasks))
    return [_intervals(figure, len(resampling.cells)) for figure in figures]


def _intervals(figure: Resampled | None, cells: int) -> Sequence[Interval | None]:
    return [None] * cells if figure is None else percentile_intervals(figure.drawn)


def few_intervals(
    outcomes: pd.DataFrame,
    original: Mapping[str, float],
    chance: Mapping[str, float],
    *,
    code: Sequence[str],
    general: Sequence[str],
) -> CellIntervals:
    """95% intervals of one cell that was asked a few items of each task, drawn at random, beside the original's rates.

    Of single rates by Wilson's score, where resampling a few items that all failed would give no width; of retentions
    the same, the original model's rates taken as known; of means over tasks by the square root of the summed squares of
    the distances to the tasks' limits (Zou and Donner 2008). Differences are left out.

    Args:
        outcomes: ``Results.outcomes`` of the cell.
        original: the original model's rates over all items.
        chance: chance level of each task.
        code, general: names of the code and the general tasks.
    """
    means = {str(task): float(rows["outcome"].mean()) for task, rows in outcomes.groupby("task", sort=False)}
    rates = rate_intervals(outcomes)
    retentions: dict[str, tuple[float, Interval]] = {}
    for task, interval in rates.items():
        kept = [retention(rate, original[task], chance[task]) for rate in (means[task], *interval)]
        if None not in kept:
            value, low, high = (float(each or 0.0) for each in kept)
            retentions[task] = value, Interval(low, high)

    def mean_rate(tasks: Sequence[str]) -> Interval | None:
        return _of_mean([(means[task], rates[task]) for task in tasks])

    def mean_retention(tasks: Sequence[str]) -> Interval | None:
        return _of_mean([retentions[task] for task in tasks if task in retentions])

    return CellIntervals(
        rates=rates,
        differences={},
        retentions={task: retentions[task][1] if task in retentions else None for task in rates},
        average=mean_rate(general),
        average_difference=None,
        general_retention=mean_retention(general),
        code=mean_rate(code),
        code_difference=None,
        code_retention=mean_retention(code),
    )


def _of_mean(figures: Sequence[tuple[float, Interval]]) -> Interval | None:
    if not figures:
        return None
    mean = math.fsum(value for value, _ in figures) / len(figures)
    below = math.hypot(*(value - interval.low for value, interval in figures)) / len(figures)
    above = math.hypot(*(interval.high - value for value, interval in figures)) / len(figures)
    return Interval(mean - below, mean + above)


NO_INTERVALS = CellIntervals({}, {}, {}, None, None, None, None, None, None)
"""Those of a cell that was asked nothing."""


def percentile_intervals(drawn: Array) -> list[Interval]:
    """One interval a row of ``drawn`` [rows, resamples], over the resamples in which the figure is finite."""
    finite = np.where(np.isfinite(drawn), drawn, np.nan)
    percentile = np.nanpercentile if np.isnan(finite).any() else np.percentile
    low, high = percentile(finite, [_TAIL, 100 - _TAIL], axis=1)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def rate_intervals(outcomes: pd.DataFrame) -> dict[str, Interval]:
    """95% interval of each task's mean outcome in one cell, by Wilson's score (Wilson 1927).

    It is right at rates of 0 and 1, where resampling gives no width at all. Outcomes between 0 and 1 vary less than
    outcomes of 0 and 1 with the same mean, and items drawn by strata less than items drawn alike: there it is wider
    than need be.

    Args:
        outcomes: ``Results.outcomes`` of one cell.
    """
    return {
        str(task): _wilson(float(rows["outcome"].mean()), len(rows))
        for task, rows in outcomes.groupby("task", sort=False)
    }


def _wilson(rate: float, items: int) -> Interval:
    """((p + z^2 / 2n) +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)."""
    spread = _QUANTILE**2 / items
    half = _QUANTILE * math.sqrt(rate * (1 - rate) / items + spread / (4 * items))
    low, high = ((rate + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return Interval(max(0.0, low), min(1.0, high))
