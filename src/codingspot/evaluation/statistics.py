"""Bootstrap intervals, paired against the original model on the same items.

1. Within each task, items are drawn with replacement, as many as there are; a draw is how often each item occurs.
2. One draw serves every cell and the original model, so that a difference or a retention is computed from the same
   items on both sides.
3. Every figure is computed in each resample; its 95% interval is from the 2.5th to the 97.5th percentile (Efron and
   Tibshirani 1993, chapter 13). Chance levels are properties of the items, computed once, and not resampled.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from codingspot.errors import EvaluationError
from codingspot.evaluation.metrics import retention

Array = NDArray[np.float64]
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


@dataclass(frozen=True)
class _Resampled:
    """One task in every resample: arrays [cells, resamples]; ``retentions`` is None where there is none."""

    rates: Array
    differences: Array
    retentions: Array | None


def bootstrap_intervals(
    outcomes: pd.DataFrame,
    *,
    original: str,
    code: Sequence[str],
    general: Sequence[str],
    chance: Mapping[str, float],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, CellIntervals]:
    """95% intervals of every cell's rates, differences and retentions.

    Args:
        outcomes: ``Results.outcomes`` of all cells, the original model among them.
        original: name of the original model's cell.
        code, general: names of the code and the general tasks; other tasks get intervals of their own only.
        chance: chance level of each task, 0-1.
        resamples: how many times items are drawn.
        seed: of the draws. A task's draws depend on the seed, its name and its number of items alone.

    Returns:
        Cell to its intervals, in order of appearance.

    Raises:
        EvaluationError: the original model is missing, or a cell lacks items that another has.
    """
    cells = [str(cell) for cell in dict.fromkeys(outcomes["cell"])]
    if original not in cells:
        raise EvaluationError(f"there is no cell {original!r} to compare with; evaluate the original model first")
    tasks: dict[str, _Resampled] = {}
    for name, rows in outcomes.groupby("task", sort=False):
        task = str(name)
        draws = _draws(task, rows["item"].nunique(), resamples, seed)
        tasks[task] = _resample(_matrix(task, rows, cells), draws, cells.index(original), chance[task])
    rates = {task: _intervals(found.rates) for task, found in tasks.items()}
    differences = {task: _intervals(found.differences) for task, found in tasks.items()}
    retentions = {task: _intervals(found.retentions, len(cells)) for task, found in tasks.items()}
    general_rates, general_differences, general_retentions = _over_tasks([tasks[t] for t in general], len(cells))
    code_rates, code_differences, code_retentions = _over_tasks([tasks[t] for t in code], len(cells))
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
        for row, cell in enumerate(cells)
    }


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


@dataclass(frozen=True)
class ResampledRetentions:
    """Mean retention over some tasks: ``exact`` by cell, and ``drawn`` [cells, resamples] in the order of ``cells``."""

    cells: tuple[str, ...]
    exact: pd.Series
    drawn: Array


def resampled_retentions(
    outcomes: pd.DataFrame,
    tasks: Sequence[str],
    original: str,
    chance: Mapping[str, float],
    resamples: int = 1000,
    seed: int = 0,
) -> ResampledRetentions | None:
    """Mean retention of every cell over ``tasks``, itself and in every resample; None where no task has one.

    The draws are those of :func:`bootstrap_intervals` with the same seed.

    Raises:
        EvaluationError: a cell lacks items that another has.
    """
    cells = [str(cell) for cell in dict.fromkeys(outcomes["cell"])]
    exact, drawn = [], []
    for task in tasks:
        rows = outcomes[outcomes["task"] == task]
        matrix = _matrix(task, rows, cells)
        found = _resample(matrix, _draws(task, matrix.shape[1], resamples, seed), cells.index(original), chance[task])
        if found.retentions is None:
            continue
        before = float(matrix[cells.index(original)].mean())
        exact.append((matrix.mean(axis=1) - chance[task]) / (before - chance[task]))
        drawn.append(found.retentions)
    if not drawn:
        return None
    return ResampledRetentions(tuple(cells), pd.Series(np.mean(exact, axis=0), index=cells), np.mean(drawn, axis=0))


def resampled_rates(outcomes: pd.DataFrame, tasks: Sequence[str], resamples: int = 1000, seed: int = 0) -> Array:
    """Mean rate over ``tasks`` of every cell in every resample, [cells, resamples], cells in order of appearance.

    The draws are those of :func:`bootstrap_intervals` with the same seed.

    Raises:
        EvaluationError: a cell lacks items that another has.
    """
    cells = [str(cell) for cell in dict.fromkeys(outcomes["cell"])]
    drawn = []
    for task in tasks:
        matrix = _matrix(task, outcomes[outcomes["task"] == task], cells)
        drawn.append(matrix @ _draws(task, matrix.shape[1], resamples, seed))
    return np.asarray(np.mean(drawn, axis=0))


def _draws(task: str, items: int, resamples: int, seed: int) -> Array:
    """How often each item occurs in each resample, [items, resamples], as shares of the number of items."""
    generator = np.random.default_rng([seed, zlib.crc32(task.encode())])
    counts = generator.multinomial(items, np.full(items, 1 / items), size=resamples)
    return np.asarray(counts.T / items, dtype=np.float64)


def _matrix(task: str, rows: pd.DataFrame, cells: Sequence[str]) -> Array:
    """Outcomes [cells, items], items in order of their index."""
    matrix = rows.pivot(index="cell", columns="item", values="outcome").reindex(list(cells))
    incomplete = matrix.index[matrix.isna().any(axis=1)]
    if len(incomplete):
        raise EvaluationError(f"cell {incomplete[0]!r} lacks items of {task}; evaluate it again on the same items")
    return matrix.to_numpy(dtype=np.float64)


def _resample(outcomes: Array, draws: Array, original: int, chance: float) -> _Resampled:
    rates = outcomes @ draws  # [cells, items] @ [items, resamples]
    before = rates[original]
    defined = retention(0.0, float(outcomes[original].mean()), chance) is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        retentions = (rates - chance) / (before - chance) if defined else None
    return _Resampled(rates, rates - before, retentions)


def _over_tasks(
    tasks: Sequence[_Resampled], cells: int
) -> tuple[list[Interval | None], list[Interval | None], list[Interval | None]]:
    """Intervals of the means over tasks of rates, differences and retentions (where they are defined)."""
    return (
        _intervals(_mean([task.rates for task in tasks]), cells),
        _intervals(_mean([task.differences for task in tasks]), cells),
        _intervals(_mean([task.retentions for task in tasks if task.retentions is not None]), cells),
    )


def _mean(arrays: Sequence[Array]) -> Array | None:
    return np.mean(arrays, axis=0) if arrays else None


def _intervals(values: Array | None, cells: int = 0) -> list[Any]:
    """One interval a row of ``values`` [cells, resamples]; None for each of ``cells`` where there are no values.

    Resamples in which the original model is exactly at chance have no retention and are left out.
    """
    if values is None:
        return [None] * cells
    finite = np.where(np.isfinite(values), values, np.nan)
    percentile = np.nanpercentile if np.isnan(finite).any() else np.percentile
    low, high = percentile(finite, [_TAIL, 100 - _TAIL], axis=1)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
