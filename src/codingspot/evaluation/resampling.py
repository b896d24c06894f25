"""The bootstrap over items that every interval is from: paired, so that cells are compared on the same items.

1. Within each task, items are drawn with replacement, as many as there are; a draw is how often each item occurs.
2. One draw serves every cell and the original model, so that a difference or a retention is computed from the same
   items on both sides.
3. Every figure is computed in each resample; its 95% interval is from the 2.5th to the 97.5th percentile (Efron and
   Tibshirani 1993, chapter 13). Chance levels are properties of the items, computed once, and not resampled.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from codingspot.errors import EvaluationError
from codingspot.evaluation.metrics import retention

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Resampled:
    """A figure of every cell: ``exact`` [cells] from all items, ``drawn`` [cells, resamples] from each resample."""

    exact: Array
    drawn: Array


class Resampling:
    """The outcomes of all cells, and their resamples.

    Figures are of one task, or means over several, each of equal weight; None where there is nothing to average.

    Args:
        outcomes: ``Results.outcomes`` of all cells, the original model among them.
        original: name of the original model's cell.
        chance: chance level of each task, 0-1.
        resamples: how many times items are drawn.
        seed: of the draws. A task's draws depend on the seed, its name and its number of items alone.

    Raises:
        EvaluationError: the original model is missing; when a task's figures are asked for, a cell lacks items of it
            that another has.
    """

    def __init__(
        self,
        outcomes: pd.DataFrame,
        *,
        original: str,
        chance: Mapping[str, float],
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.cells = [str(cell) for cell in dict.fromkeys(outcomes["cell"])]
        """Names of the cells, in the order of the figures' first axis."""
        if original not in self.cells:
            raise EvaluationError(f"there is no cell {original!r} to compare with; evaluate the original model first")
        self._by_task = {str(task): rows for task, rows in outcomes.groupby("task", sort=False)}
        self._original, self._chance = self.cells.index(original), chance
        self._resamples, self._seed = resamples, seed
        self.rate: Callable[[str], Resampled] = cache(self._resample)
        """The rate of one task."""

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in order of appearance."""
        return list(self._by_task)

    def difference(self, task: str) -> Resampled:
        """The rate of one task minus the original model's."""
        rate, at = self.rate(task), self._original
        return Resampled(rate.exact - rate.exact[at], rate.drawn - rate.drawn[at])

    def retention(self, task: str) -> Resampled | None:
        """The chance-corrected retention of one task (:func:`codingspot.evaluation.metrics.retention`).

        None where it is not defined; not finite in a resample in which the original model is exactly at chance.
        """
        rate, chance, at = self.rate(task), self._chance[task], self._original
        if retention(0.0, float(rate.exact[at]), chance) is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = (rate.drawn - chance) / (rate.drawn[at] - chance)
        return Resampled((rate.exact - chance) / (rate.exact[at] - chance), drawn)

    def rates(self, tasks: Sequence[str]) -> Resampled | None:
        """Mean rate over ``tasks``."""
        return _mean([self.rate(task) for task in tasks])

    def differences(self, tasks: Sequence[str]) -> Resampled | None:
        """Mean over ``tasks`` of the rate minus the original model's."""
        return _mean([self.difference(task) for task in tasks])

    def retentions(self, tasks: Sequence[str]) -> Resampled | None:
        """Mean retention over those of ``tasks`` where it is defined."""
        found = (self.retention(task) for task in tasks)
        return _mean([figure for figure in found if figure is not None])

    def _resample(self, task: str) -> Resampled:
        outcomes = _matrix(task, self._by_task[task], self.cells)
        counts = _draws(task, outcomes.shape[1], self._resamples, self._seed)
        # Divided afterwards: sums of whole numbers are exact, however many threads share them.
        return Resampled(outcomes.mean(axis=1), outcomes @ counts / len(counts))


def _mean(figures: Sequence[Resampled]) -> Resampled | None:
    if not figures:
        return None
    return Resampled(
        np.mean([figure.exact for figure in figures], axis=0), np.mean([figure.drawn for figure in figures], axis=0)
    )


def _matrix(task: str, rows: pd.DataFrame, cells: Sequence[str]) -> Array:
    """Outcomes [cells, items], items in order of their index."""
    matrix = rows.pivot(index="cell", columns="item", values="outcome").reindex(list(cells))
    incomplete = matrix.index[matrix.isna().any(axis=1)]
    if len(incomplete):
        raise EvaluationError(f"cell {incomplete[0]!r} lacks items of {task}; evaluate it again on the same items")
    return matrix.to_numpy(dtype=np.float64)


def _draws(task: str, items: int, resamples: int, seed: int) -> Array:
    """How often each item occurs in each resample, [items, resamples]."""
    generator = np.random.default_rng([seed, zlib.crc32(task.encode())])
    counts = generator.multinomial(items, np.full(items, 1 / items), size=resamples)
    return np.asarray(counts.T, dtype=np.float64)
