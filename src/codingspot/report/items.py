"""Items of a run's tasks with the answers of the original and of edited models, as the page's script shows them.

They are a JSON text of bounded size, however many cells and items a run has: which of them it holds is drawn by a seed,
and said beside them. Each text is in it once, as most edits leave most answers as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from codingspot.escaping import visible
from codingspot.evaluation.results import FURTHER
from codingspot.report.labels import control_label, dose, plural, task_label
from codingspot.report.run_files import Run
from codingspot.report.samples import cut
from codingspot.report.specificity import Finding
from codingspot.study.cells import ORIGINAL, Cell

_SIZE: Final = 1_500_000
_CELLS: Final = 48
_ITEMS_OF_A_TASK: Final = 500
_CHARACTERS, _LINES = 4000, 120


@dataclass(frozen=True)
class Items:
    """What a reader may look at.

    Attributes:
        data: JSON, safe inside a ``<script>`` element.
        told: which cells and items it holds.
        cells: names of the edited cells in it.
    """

    data: str
    told: str
    cells: frozenset[str]


def shown_items(run: Run, findings: Sequence[Finding], size: int = _SIZE) -> Items | None:
    """Items of the cells that matter most, in at most ``size`` characters; None where no edited model was asked any.

    The cells are the original, the spots at the doses judged, a matched control of each there, the spots at their other
    doses, then further controls, up to four dozen. Each task has about as many items as the others, drawn by the run's
    seed.
    """
    outcomes = run.results.outcomes
    there = set(outcomes["cell"].unique())
    asked = [cell for cell in run.plan.cells if cell.name in there]
    cells = _chosen(asked, findings)
    if len(cells) < 2:
        return None
    rows = outcomes[outcomes["cell"].isin([cell.name for cell in cells])]
    drawn = _drawn(run, rows)
    writer = _Writer(run, cells, rows, drawn)
    kept = writer.fill(drawn, size)
    names = [task.name for task in run.plan.tasks]
    kept.sort(key=lambda key: (names.index(key[0]), key[1]))
    judged = next((place for place, cell in enumerate(cells) if cell.name == findings[0].cell.cell.name), 1)
    return Items(writer.to_json(kept, judged), _told(run, len(asked) - 1, len(cells) - 1, kept), writer.edited)


def _chosen(asked: Sequence[Cell], findings: Sequence[Finding]) -> list[Cell]:
    """The original model first, then those chosen, in the plan's order."""
    first = [cell.name for finding in findings for cell in (finding.cell.cell, *(c.cell for c in finding.matched[:1]))]

    def rank(cell: Cell) -> tuple[bool, bool, bool, int]:
        own = cell.control is None and cell.purpose == "dose"
        return cell.name != ORIGINAL, cell.name not in first, not own, cell.seed or 0

    names = {cell.name for cell in sorted(asked, key=rank)[: _CELLS + 1]}
    return [cell for cell in asked if cell.name in names]


def _drawn(run: Run, rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Task and number of items of the original model in the order in which they are taken: the tasks in turn."""
    there = rows[rows["cell"] == ORIGINAL]
    orders = []
    for place, task in enumerate(run.plan.tasks):
        numbers = np.sort(there.loc[there["task"] == task.name, "item"].to_numpy())
        shuffled = np.random.default_rng([run.plan.bootstrap_seed, place]).permutation(numbers)[:_ITEMS_OF_A_TASK]
        orders.append([(turn, place, task.name, int(number)) for turn, number in enumerate(shuffled)])
    return [(task, number) for _, _, task, number in sorted(each for order in orders for each in order)]


class _Writer:
    """Puts items into JSON, each text once, until they are as many characters as there is room for."""

    def __init__(self, run: Run, cells: Sequence[Cell], rows: pd.DataFrame, drawn: Sequence[tuple[str, int]]) -> None:
        self._run, self._cells = run, cells
        places = {cell.name: place for place, cell in enumerate(cells)}
        wanted = set(drawn)
        self._texts: dict[str, int] = {}
        self._shown: dict[str, str] = {}
        self._asked = {
            (task, item): asked
            for task, item, *asked in zip(*(run.items[name] for name in run.items), strict=True)
            if (task, item) in wanted
        }
        self._answers: dict[tuple[str, int], dict[int, list[Any]]] = {}
        several = all(name in rows for name in FURTHER)
        columns = ["cell", "task", "item", "outcome", "sample", "verdict", *(FURTHER if several else [])]
        for cell, task, item, outcome, sample, verdict, *further in zip(*(rows[c] for c in columns), strict=True):
            if (task, item) in wanted:
                programs = [(sample, verdict), *(zip(*further, strict=True) if several else ())]
                self._answers.setdefault((task, item), {})[places[cell]] = [outcome, programs]
        self._rows: dict[tuple[str, int], list[Any]] = {}

    @property
    def edited(self) -> frozenset[str]:
        """Names of the edited cells."""
        return frozenset(cell.name for cell in self._cells[1:])

    def fill(self, order: Iterable[tuple[str, int]], size: int) -> list[tuple[str, int]]:
        """Take items in order while there is room; those taken."""
        left = size
        for key in order:
            known = len(self._texts)
            row = self._row(key)
            new = list(self._texts)[known:]
            left -= len(_json(row)) + len(_json(new))
            if left < 0:
                for text in new:
                    del self._texts[text]
                break
            self._rows[key] = row
        return list(self._rows)

    def to_json(self, order: Sequence[tuple[str, int]], judged: int) -> str:
        """Everything, the items in ``order``, and which cell is shown first."""
        tasks = [task.name for task in self._run.plan.tasks]
        data = {
            "tasks": [visible(task_label(task)) for task in tasks],
            "cells": [[visible(cell.name), visible(cell.spot or ""), visible(_title(cell))] for cell in self._cells],
            "judged": judged,
            "items": [[tasks.index(key[0]), key[1], *self._rows[key]] for key in order],
            "texts": list(self._texts),
        }
        return _json(data).replace("<", "\\u003c")

    def _row(self, key: tuple[str, int]) -> list[Any]:
        """Prompt, choices, target, and each cell's outcome with its texts and verdicts; null where it wasn't asked."""
        prompt, choices, target = self._asked.get(key, ("", (), ""))
        answers = self._answers[key]
        return [
            self._text(prompt),
            [self._text(choice) for choice in choices],
            int(target) if len(choices) and target.isdigit() else self._text(target),
            [self._answer(answers.get(place)) for place in range(len(self._cells))],
        ]

    def _answer(self, given: list[Any] | None) -> list[Any] | None:
        if given is None:
            return None
        outcome, programs = given
        shown = round(float(outcome), 4)
        return [
            int(shown) if shown in (0, 1) else shown,
            *(self._text(text) for program in programs for text in program),
        ]

    def _text(self, text: str) -> int:
        if text not in self._shown:  # most of them come many times
            self._shown[text] = visible(cut(text, _CHARACTERS, _LINES))
        return self._texts.setdefault(self._shown[text], len(self._texts))


def _title(cell: Cell) -> str:
    if cell.name == ORIGINAL:
        return "original"
    who = "spot" if cell.control is None else control_label(cell.control)
    seed = "" if cell.seed is None else f", seed {cell.seed}"
    what = {"refinement": " (between doses)", "sufficiency": " kept alone"}.get(cell.purpose, "")
    return f"{dose(cell.k_percent)}: {who}{seed}{what}"


def _told(run: Run, asked: int, cells: int, kept: Sequence[tuple[str, int]]) -> str:
    counts = {task.name: sum(name == task.name for name, _ in kept) for task in run.plan.tasks}
    whole = all(counts[task.name] >= task.items for task in run.plan.tasks)
    of_cells = f"{cells} of {plural(asked, 'edited model')}" if cells < asked else plural(cells, "edited model")
    if whole:
        items = f"all {plural(len(kept), 'item')}"
    else:
        parts = (f"{counts[task.name]:,} of {task.items:,} ({task_label(task.name)})" for task in run.plan.tasks)
        items = (
            f"items drawn at random (seed {run.plan.bootstrap_seed}), so that the page stays small: {', '.join(parts)}"
        )
    told = f"Answers of the original and of {of_cells} to {items}."
    if not len(run.items):
        told += " Questions weren't kept when this run was made; to have them, run its study again, which resumes."
    return told


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
