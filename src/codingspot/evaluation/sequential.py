"""Stopping the evaluation of a cell once its interval settles what is asked of it.

What is asked is on which side of some thresholds the mean retention over a few tasks lies. With a_t the rate of task t
in the cell, a0_t that of the original model, whose outcomes are known, c_t its chance level, n_t its items and T tasks,

    R = mean_t (a_t - c_t) / (a0_t - c_t) = 1 - mean over items of d,   d = w_t (original's outcome - cell's outcome),

with w_t = N / (T n_t (a0_t - c_t)) and N items in all. The evaluated items are a finite list; they are drawn from it in
a random order, the same for all cells, and :class:`codingspot.evaluation.confidence.MeanSequence` gives R an interval
that holds at every moment at once. So stopping as soon as no threshold lies inside it leaves the error at alpha. Where
that never happens, all items are evaluated and R is exact.

An interval is as wide as the largest |d| is. So that a task with a heavy w_t doesn't widen it, its items stand in the
list several times, in proportion to w_t, each time with a part of it: whoever comes up again is known already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from codingspot.errors import EvaluationError
from codingspot.evaluation.confidence import MeanSequence
from codingspot.evaluation.metrics import retention
from codingspot.evaluation.statistics import Interval

Item = tuple[str, int]
"""Task and item."""

_TICKETS = 8
"""How often an item of the lightest task stands in the list, where weights differ."""


@dataclass(frozen=True)
class Design:
    """The items of some tasks in the order in which every cell's are drawn, and what each is worth.

    Attributes:
        tickets: the list in its random order: item, its w_t, and the original model's outcome.
    """

    tickets: tuple[tuple[Item, float, float], ...]

    @classmethod
    def of(
        cls, original: pd.DataFrame, tasks: Sequence[str], chance: Mapping[str, float], *, seed: int = 0
    ) -> Design | None:
        """The design for the mean retention over ``tasks``; None where no task's retention is defined.

        Args:
            original: rows of ``Results.outcomes`` of the original model.
            tasks: names of the tasks; those whose retention isn't defined are left out.
            chance: chance level of each.
            seed: of the order.
        """
        rows = {task: original[original["task"] == task] for task in tasks}
        margins = {task: float(found["outcome"].mean()) - chance[task] for task, found in rows.items()}
        kept = [task for task in tasks if retention(0.0, margins[task] + chance[task], chance[task]) is not None]
        if not kept:
            return None
        weights = {task: 1 / (len(kept) * len(rows[task]) * margins[task]) for task in kept}
        lightest = min(weights.values())
        times = {task: round(_TICKETS * weights[task] / lightest) for task in kept} if len(kept) > 1 else {kept[0]: 1}
        total = sum(times[task] * len(rows[task]) for task in kept)
        tickets = [
            ((task, int(item)), total * weights[task] / times[task], float(outcome))
            for task in kept
            for item, outcome in zip(rows[task]["item"], rows[task]["outcome"], strict=True)
            for _ in range(times[task])
        ]
        order = np.random.default_rng(seed).permutation(len(tickets))
        return cls(tuple(tickets[index] for index in order))

    @cached_property
    def order(self) -> tuple[Item, ...]:
        """Every item once, in the order in which it first comes up."""
        return tuple(dict.fromkeys(item for item, _, _ in self.tickets))

    @cached_property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest d there may be."""
        lost = max(worth * before for _, worth, before in self.tickets)
        gained = max(worth * (1 - before) for _, worth, before in self.tickets)
        return -gained, lost


class RetentionSequence:
    """The interval of one cell's mean retention, as its items come in."""

    def __init__(self, design: Design, *, alpha: float = 0.05) -> None:
        self._design = design
        low, high = design.range
        self._mean = MeanSequence(len(design.tickets), low, high, alpha)
        self._known: dict[Item, float] = {}

    @property
    def items(self) -> int:
        """How many items were added."""
        return len(self._known)

    @property
    def interval(self) -> Interval:
        """What the mean retention over all items may be."""
        low, high = self._mean.interval
        return Interval(1 - high, 1 - low)

    def add(self, outcomes: Mapping[Item, float]) -> None:
        """Add outcomes of the cell, the next items of the design's order.

        Raises:
            EvaluationError: an item is not among the next.
        """
        expected = self._design.order[self.items : self.items + len(outcomes)]
        if set(expected) != set(outcomes):
            raise EvaluationError("items were evaluated in another order than the design's; evaluate the cell again")
        self._known.update(outcomes)
        for item, worth, before in self._design.tickets[self._mean.seen :]:
            if item not in self._known:
                break
            self._mean.add(worth * (before - self._known[item]))

    def settles(self, thresholds: Sequence[float]) -> bool:
        """Whether the interval lies on one side of every threshold (which is on the upper side itself)."""
        low, high = self.interval
        return all(low >= threshold or high < threshold for threshold in thresholds)


def retention_intervals(
    outcomes: pd.DataFrame,
    original: str,
    questions: Mapping[str, Sequence[str]],
    chance: Mapping[str, float],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """The interval at which each cell's evaluation stopped, from its outcomes alone.

    Columns: ``cell``, ``question``, ``items`` (evaluated), ``available``, ``low``, ``high`` (of the mean retention over
    the question's tasks; missing where it isn't defined).

    Args:
        outcomes: ``Results.outcomes``.
        original: name of the original model's cell, whose items are all there.
        questions: name of a question to its tasks.
        chance: chance level of each task.
        alpha, seed: as the cells were evaluated.
    """
    before = outcomes[outcomes["cell"] == original]
    rows = []
    for question, tasks in questions.items():
        design = Design.of(before, tasks, chance, seed=seed)
        available = int(before["task"].isin(list(tasks)).sum())
        for cell, found in outcomes[outcomes["task"].isin(list(tasks))].groupby("cell", sort=False):
            if cell == original:
                continue
            bounds = (float("nan"), float("nan")) if design is None else _replayed(design, found, alpha)
            row = {"cell": cell, "question": question, "items": len(found), "available": available}
            rows.append({**row, "low": bounds[0], "high": bounds[1]})
    return pd.DataFrame(rows, columns=["cell", "question", "items", "available", "low", "high"])


def _replayed(design: Design, found: pd.DataFrame, alpha: float) -> Interval:
    known = {(str(t), int(i)): float(o) for t, i, o in zip(found["task"], found["item"], found["outcome"], strict=True)}
    sequence = RetentionSequence(design, alpha=alpha)
    sequence.add({item: known[item] for item in design.order if item in known})
    return sequence.interval


def on_common_items(outcomes: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """The rows of some cells on the items that all of them have."""
    rows = outcomes[outcomes["cell"].isin(list(cells))]
    counts = rows.groupby(["task", "item"])["cell"].transform("nunique")
    return rows[counts == len(set(cells))]
