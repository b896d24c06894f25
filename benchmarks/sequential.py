"""Items that sequential evaluation takes on a finished run, beside all of them, and whether the verdicts are the same.

    python benchmarks/sequential.py runs/demo                 # the run of `codingspot demo`
    python benchmarks/sequential.py runs/demo --seeds 20      # the same over 20 orders of the items

The run's stored outcomes are given to the sequential evaluator as a model's answers would be, so that no model is run.
Two things are compared with the run itself: on which side of every threshold each cell's retention lies, and the
verdict of the report on every spot.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.evaluation.sequential import Design, retention_intervals
from codingspot.evaluation.stopping import SequentialEvaluator
from codingspot.report.run_files import Run, read_run
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.study.cells import ORIGINAL, Cell
from codingspot.study.evaluating import thresholds


@dataclass(frozen=True)
class StoredTask:
    """A task whose answers are known; stands for an ``EvaluationTask``."""

    name: str
    numbers: tuple[int, ...]

    @property
    def items(self) -> int:
        return len(self.numbers)

    def subset(self, numbers: Collection[int]) -> StoredTask:
        return StoredTask(self.name, tuple(number for number in self.numbers if number in numbers))


class StoredEvaluator:
    """Gives a cell's stored outcomes; stands for an ``Evaluator``."""

    def __init__(self, run: Run) -> None:
        outcomes = run.results.outcomes
        original = outcomes[outcomes["cell"] == ORIGINAL]
        self.tasks = [
            StoredTask(task.name, tuple(original.loc[original["task"] == task.name, "item"])) for task in run.plan.tasks
        ]
        self._known = {(row.cell, row.task, row.item): row for row in outcomes.itertuples()}
        self.cell = ORIGINAL

    def outcomes(self, tasks: Sequence[StoredTask]) -> list[ItemOutcome]:
        rows = [self._known[self.cell, task.name, number] for task in tasks for number in task.numbers]
        return [ItemOutcome(*row[2:]) for row in rows]

    def losses(self) -> list[Any]:
        return []


def questions(run: Run) -> dict[str, list[str]]:
    return {role: [task.name for task in run.plan.with_role(role)] for role in ("code", "general")}  # type: ignore[arg-type]


def asked(run: Run, cell: Cell) -> dict[str, tuple[float, ...]]:
    outcomes = run.results.outcomes
    original = Results(outcomes[outcomes["cell"] == ORIGINAL], run.results.losses)
    return thresholds(cell, original, questions(run)["code"])


def evaluate(run: Run, *, alpha: float, seed: int) -> pd.DataFrame:
    """Outcomes of every cell, as far as a sequential evaluation goes."""
    outcomes = run.results.outcomes
    original = outcomes[outcomes["cell"] == ORIGINAL]
    chance = {task.name: task.chance for task in run.plan.tasks}
    stored = StoredEvaluator(run)
    evaluator = SequentialEvaluator(stored, original, questions(run), chance, alpha=alpha, seed=seed)  # type: ignore[arg-type]
    parts = [original]
    for cell in run.plan.cells[1:]:
        stored.cell = cell.name
        parts.append(evaluator.evaluate(cell.name, asked(run, cell)).outcomes)
    return pd.concat(parts, ignore_index=True)


def wrong_sides(run: Run, intervals: pd.DataFrame, seed: int) -> list[str]:
    """Cells whose interval lies on another side of a threshold than the retention over all items does."""
    outcomes = run.results.outcomes
    chance = {task.name: task.chance for task in run.plan.tasks}
    original = outcomes[outcomes["cell"] == ORIGINAL]
    cells = {cell.name: cell for cell in run.plan.cells}
    wrong = []
    for question, tasks in questions(run).items():
        design = Design.of(original, tasks, chance, seed=seed)
        assert design is not None
        for row in intervals[intervals["question"] == question].to_dict("records"):
            own = outcomes[(outcomes["cell"] == row["cell"]) & outcomes["task"].isin(tasks)]
            known = {(t, i): o for t, i, o in zip(own["task"], own["item"], own["outcome"], strict=True)}
            lost = sum(worth * (before - known[item]) for item, worth, before in design.tickets) / len(design.tickets)
            wrong += [
                f"{row['cell']} ({question} at {threshold:.3g})"
                for threshold in asked(run, cells[row["cell"]])[question]
                if (row["low"] >= threshold) != (1 - lost >= threshold - 1e-9)
            ]
    return wrong


def verdicts(run: Run) -> list[str]:
    return [str(finding.verdict) for finding in judge_all(summarise(run), run.density)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run directory whose cells have all items")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3, help="random orders of the items")
    options = parser.parse_args()
    run = read_run(options.run)
    complete = verdicts(run)
    edited = [cell for cell in run.plan.cells if cell.name != ORIGINAL]
    everything = sum(task.items for task in run.plan.tasks) * len(edited)
    print(f"{len(edited)} edited cells, {everything:,} items; verdicts {', '.join(complete)}")
    times = []
    for seed in range(options.seeds):
        outcomes = evaluate(run, alpha=options.alpha, seed=seed)
        intervals = retention_intervals(
            outcomes,
            ORIGINAL,
            questions(run),
            {task.name: task.chance for task in run.plan.tasks},
            alpha=options.alpha,
            seed=seed,
        )
        used = int((outcomes["cell"] != ORIGINAL).sum())
        times.append(everything / used)
        stopped = replace(
            run,
            results=Results(outcomes, run.results.losses),
            further={**run.further, "sequential": intervals},
        )
        other = verdicts(stopped)
        wrong = wrong_sides(run, intervals, seed)
        print(
            f"seed {seed}: {used:,} items, {times[-1]:.2f} times fewer; "
            f"verdicts {'the same' if other == complete else ', '.join(other)}; "
            f"cells on a wrong side: {', '.join(wrong) or 'none'}"
        )
    print(f"times fewer items: {statistics.median(times):.2f} (median; {min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
