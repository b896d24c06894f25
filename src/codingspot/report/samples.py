"""What some programs look like before and after an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from codingspot.report.labels import control_label, dose, task_label
from codingspot.report.run_files import Run
from codingspot.report.specificity import Finding
from codingspot.study.cells import ORIGINAL, Cell

_ITEMS: Final = 3
_LINES: Final = 30
_CHARACTERS: Final = 1500


@dataclass(frozen=True)
class Program:
    """One completion: who wrote it, the text (cut if very long), and the sandbox's verdict."""

    written_by: str
    text: str
    verdict: str
    passed: bool


@dataclass(frozen=True)
class Problem:
    """One item of a code task, with the completions of several cells."""

    title: str
    programs: tuple[Program, ...]


def sample_problems(run: Run, findings: Sequence[Finding]) -> tuple[Problem, ...]:
    """A few items of the first code task: those that the original model solves, lost ones first.

    Each shows the original model, every spot at the dose of its finding, and one matched control of the first spot.
    """
    code = run.plan.with_role("code")
    if not code or not findings:
        return ()
    cells = [Cell(name=ORIGINAL), *(finding.cell.cell for finding in findings)]
    cells += [control.cell for control in findings[0].matched[:1]]
    outcomes = run.results.outcomes
    rows = outcomes[(outcomes["task"] == code[0].name) & outcomes["cell"].isin([cell.name for cell in cells])]
    # After a sequential evaluation not every cell has every item.
    shared = rows.groupby("item")["cell"].transform("nunique") == len({cell.name for cell in cells})
    rows = rows[shared]
    if not len(rows):
        return ()
    # Of several programs of an item the first is shown.
    by_item = {(row.item, row.cell): (str(row.sample), str(row.verdict)) for row in rows.itertuples()}
    return tuple(
        Problem(
            f"{task_label(code[0].name)}, item {item}",
            tuple(_program(*by_item[(item, cell.name)], cell) for cell in cells),
        )
        for item in _chosen(rows, findings[0].cell.cell.name)
    )


def _chosen(rows: pd.DataFrame, edited: str) -> list[int]:
    """Items solved by the original model: first those that the edited one fails, in the task's order."""
    outcome = rows.pivot(index="item", columns="cell", values="outcome")
    solved = outcome[outcome[ORIGINAL] > 0]
    lost = solved[solved[edited] < solved[ORIGINAL]]
    ordered = [*lost.index, *solved.index.difference(lost.index), *outcome.index.difference(solved.index)]
    return [int(item) for item in ordered[:_ITEMS]]


def _program(text: str, verdict: str, cell: Cell) -> Program:
    return Program(_written_by(cell), cut(text), verdict or "no verdict", verdict == "passed")


def _written_by(cell: Cell) -> str:
    if cell.name == ORIGINAL:
        return "Original model"
    who = f"{cell.spot}, {dose(cell.k_percent)}"
    return who if cell.control is None else f"{who}: {control_label(cell.control)}"


def cut(text: str, characters: int = _CHARACTERS, lines: int = _LINES) -> str:
    """The text without blank ends; a very long one is cut, and says so."""
    text = text.strip("\n").rstrip().replace("\r\n", "\n")
    shown = "\n".join(text[:characters].split("\n")[:lines])
    return shown if shown == text else f"{shown}\n[cut]"
