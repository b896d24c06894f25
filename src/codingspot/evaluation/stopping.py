"""Evaluating edited models item by item, as far as is needed to answer what is asked of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.evaluation.sequential import Design, Item, RetentionSequence
from codingspot.evaluation.tasks import EvaluationTask

_LEAST = 16
"""Items of a question that are evaluated at the least."""
_BLOCKS = 64
"""Into how many blocks a question's items are cut, if that leaves eight to each; intervals are looked at after each."""

Block = tuple[EvaluationTask, ...]
"""Some items of some tasks, evaluated together."""


class SequentialEvaluator:
    """Evaluates a model again and again while its weights are edited, stopping where the questions are settled.

    A question is a set of tasks, asked on which side of some thresholds their mean retention lies
    (:mod:`codingspot.evaluation.sequential`). Items are evaluated in blocks, in one random order for all cells. Tasks
    that no question is about get as large a share of their items as the questions' tasks did together. Losses of
    documents are always taken of all.

    Args:
        evaluator: of all the tasks.
        original: rows of ``Results.outcomes`` of the original model, on all items.
        questions: name of a question to its tasks; a task belongs to one at most.
        chance: chance level of each task.
        alpha: chance that a question's interval ever misses its retention, for each cell and question.
        seed: of the order.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        original: pd.DataFrame,
        questions: Mapping[str, Sequence[str]],
        chance: Mapping[str, float],
        *,
        alpha: float = 0.05,
        seed: int = 0,
    ) -> None:
        self._evaluator = evaluator
        self._alpha = alpha
        tasks = {task.name: task for task in evaluator.tasks}
        self._places = {
            place: index
            for index, place in enumerate((name, number) for name, task in tasks.items() for number in task.numbers)
        }
        self._designs = {name: Design.of(original, asked, chance, seed=seed) for name, asked in questions.items()}
        self._blocks = {
            name: _cut(_ordered(design, [tasks[task] for task in questions[name]], seed), tasks, _LEAST)
            for name, design in self._designs.items()
        }
        asked = {task for names in questions.values() for task in names}
        self._others = [_cut(_ordered(None, [task], seed), tasks) for name, task in tasks.items() if name not in asked]

    def evaluate(self, cell: str, thresholds: Mapping[str, Sequence[float]]) -> Results:
        """Results of the model's present weights, on as many items as it takes: losses and :meth:`outcomes`."""
        return Results.of_cell(cell, self.outcomes(thresholds), self._evaluator.losses())

    def outcomes(self, thresholds: Mapping[str, Sequence[float]]) -> list[ItemOutcome]:
        """Outcomes under the model's present weights, of as many items as it takes.

        Args:
            thresholds: of each question.

        Raises:
            EvaluationError: a task can't be evaluated.
            SandboxError: a generated program can't be run.
        """
        found: list[ItemOutcome] = []
        available = sum(task.items for blocks in self._blocks.values() for block in blocks for task in block)
        for name, blocks in self._blocks.items():
            answered = list(self._answers(name, blocks, thresholds[name]))
            found += [outcome for block in answered for outcome in block]
        share = len(found) / available if available else 1.0
        for blocks in self._others:
            for block in blocks[: math.ceil(share * len(blocks))]:
                found += self._evaluator.outcomes(block)
        found.sort(key=lambda outcome: self._places[outcome.task, outcome.item])
        return found

    def _answers(
        self, question: str, blocks: Sequence[Block], thresholds: Sequence[float]
    ) -> Iterator[list[ItemOutcome]]:
        """Outcomes block by block, up to where the question is settled."""
        design = self._designs[question]
        sequence = None if design is None else RetentionSequence(design, alpha=self._alpha)
        unseen = {task.name for block in blocks for task in block}
        for block in blocks:
            outcomes = self._evaluator.outcomes(block)
            yield outcomes
            unseen -= {outcome.task for outcome in outcomes}
            if sequence is None or design is None:
                continue
            in_design = set(design.order)
            sequence.add({(o.task, o.item): o.outcome for o in outcomes if (o.task, o.item) in in_design})
            if sequence.items >= _LEAST and not unseen and sequence.settles(thresholds):
                return


def _ordered(design: Design | None, tasks: Sequence[EvaluationTask], seed: int) -> list[Item]:
    """All items of the tasks: in the design's order, those that it leaves out spread among them."""
    items = [(task.name, number) for task in tasks for number in task.numbers]
    order = [] if design is None else list(design.order)
    inside = set(order)
    rest = [item for item in items if item not in inside]
    shuffled = [rest[index] for index in np.random.default_rng(seed).permutation(len(rest))]
    if not order or not shuffled:
        return order or shuffled
    # Two lists merged by the share of each that has come.
    keyed = [((place + 0.5) / len(part), item) for part in (order, shuffled) for place, item in enumerate(part)]
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]


def _cut(order: Sequence[Item], tasks: Mapping[str, EvaluationTask], least: int = 0) -> list[Block]:
    """Blocks of items; those of the first ``least``, after which alone intervals are looked at, are one block."""
    size = max(8, math.ceil(len(order) / _BLOCKS))
    first = size * max(1, math.ceil(least / size))
    blocks = []
    for start, end in pairwise([0, *range(first, len(order), size), len(order)] if order else []):
        numbers: dict[str, set[int]] = {}
        for name, number in order[start:end]:
            numbers.setdefault(name, set()).add(number)
        blocks.append(tuple(tasks[name].subset(chosen) for name, chosen in numbers.items()))
    return blocks
