"""One record a cell: its rates, its perplexities, what is made from them, and their intervals.

``summary.json`` is these records; every table, figure and sentence of a report is made from them too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from codingspot.evaluation.metrics import CellMetrics, cell_metrics, perplexities, task_rates
from codingspot.evaluation.statistics import CellIntervals, Interval, bootstrap_intervals
from codingspot.report.labels import spot_title
from codingspot.report.run_files import Run
from codingspot.study.cells import ORIGINAL, Cell, Control, Plan


@dataclass(frozen=True)
class CellSummary:
    """Everything a report says about one cell.

    Attributes:
        cell: what was edited.
        percent_of_scope: parameters edited, in percent of the scope; None for the original model.
        metrics: rates (0-1), retentions and the papers' figures.
        intervals: 95% intervals of the same.
        perplexity: of each domain; infinite where the model's output is not a number.
        perplexity_ratio: the same over the original model's.
    """

    cell: Cell
    percent_of_scope: float | None
    metrics: CellMetrics
    intervals: CellIntervals
    perplexity: Mapping[str, float]
    perplexity_ratio: Mapping[str, float]

    def record(self) -> dict[str, Any]:
        """The cell as JSON values: rates in 0-1, perplexity null where infinite, intervals as [low, high]."""
        cell, metrics, intervals = self.cell, self.metrics, self.intervals
        return {
            "cell": cell.name,
            "spot": cell.spot,
            "recipe": cell.recipe,
            "scope": cell.scope,
            "estimator": cell.estimator,
            "control": cell.control,
            "edit": cell.edit,
            "k_percent": cell.k_percent,
            "parameters": cell.parameters,
            "percent_of_scope": self.percent_of_scope,
            "seed": cell.seed,
            "tasks": dict(metrics.rates),
            "perplexity": {domain: _finite(value) for domain, value in self.perplexity.items()},
            "code": metrics.code,
            "general": metrics.average,
            "code_retention": metrics.code_retention,
            "general_retention": metrics.general_retention,
            "m_s": metrics.m_s,
            "intervals": {
                "tasks": {task: _pair(interval) for task, interval in intervals.rates.items()},
                "code": _pair(intervals.code),
                "general": _pair(intervals.average),
                "code_retention": _pair(intervals.code_retention),
                "general_retention": _pair(intervals.general_retention),
            },
        }


@dataclass(frozen=True)
class RunSummary:
    """All cells of a run, in the plan's order, and ways to find them.

    Attributes:
        plan: the run's.
        cells: the original model first.
        aggregations: how each spot's recipe makes one score of the languages' scores.
    """

    plan: Plan
    cells: tuple[CellSummary, ...]
    aggregations: Mapping[str, str]

    @property
    def original(self) -> CellSummary:
        """The unedited model."""
        return self.cells[0]

    def title(self, spot: str) -> str:
        """The spot's name, recipe and scope, for people."""
        return spot_title(self.of(spot)[0].cell, self.aggregations[spot], self.plan)

    def of(self, spot: str, control: Control | None = None) -> tuple[CellSummary, ...]:
        """The cells of a spot, or of one kind of its controls (all seeds), doses increasing."""
        found = [c for c in self.cells if c.cell.spot == spot and c.cell.control == control]
        return tuple(sorted(found, key=lambda c: (c.cell.k_percent, c.cell.seed or 0)))

    def at(self, spot: str, control: Control | None, k_percent: float) -> tuple[CellSummary, ...]:
        """The same at one dose: one cell for the spot itself, one a seed for a control."""
        return tuple(c for c in self.of(spot, control) if c.cell.k_percent == k_percent)

    def controls(self, spot: str) -> tuple[Control, ...]:
        """The kinds of control that a spot has, in the plan's order."""
        found = (c.cell.control for c in self.cells if c.cell.spot == spot and c.cell.control is not None)
        return tuple(dict.fromkeys(found))

    def doses(self, spot: str) -> tuple[float, ...]:
        """The k at which a spot was edited, increasing, in percent of all parameters."""
        return tuple(dict.fromkeys(c.cell.k_percent for c in self.of(spot)))

    def records(self) -> list[dict[str, Any]]:
        """The content of ``summary.json``."""
        return [cell.record() for cell in self.cells]

    def frame(self) -> pd.DataFrame:
        """One row a cell, for a notebook; nested values are columns such as ``tasks.NAME`` and ``perplexity.NAME``."""
        frame: pd.DataFrame = pd.json_normalize(self.records())
        return frame


def summarise(run: Run) -> RunSummary:
    """Compute every cell's figures from the run's results.

    Raises:
        EvaluationError: a cell lacks items that another has.
    """
    plan = run.plan
    code = [task.name for task in plan.with_role("code")]
    general = [task.name for task in plan.with_role("general")]
    chance = {task.name: task.chance for task in plan.tasks}
    rates = task_rates(run.results.outcomes)
    perplexity = perplexities(run.results.losses)
    intervals = bootstrap_intervals(
        run.results.outcomes, original=ORIGINAL, code=code, general=general, chance=chance, seed=plan.bootstrap_seed
    )
    before = perplexity.get(ORIGINAL, {})
    cells = []
    for cell in plan.cells:
        ordered = {task.name: rates[cell.name][task.name] for task in plan.tasks}
        found = perplexity.get(cell.name, {})
        cells.append(
            CellSummary(
                cell=cell,
                percent_of_scope=_percent_of_scope(cell, plan),
                metrics=cell_metrics(ordered, rates[ORIGINAL], code=code, general=general, chance=chance),
                intervals=intervals[cell.name],
                perplexity={domain.name: found[domain.name] for domain in plan.domains if domain.name in found},
                perplexity_ratio={
                    domain.name: found[domain.name] / before[domain.name]
                    for domain in plan.domains
                    if domain.name in found
                },
            )
        )
    aggregations = {spot: str(run.recipe_parameters(spot).get("aggregation", "sum")) for spot in plan.spots()}
    return RunSummary(plan, tuple(cells), aggregations)


def _percent_of_scope(cell: Cell, plan: Plan) -> float | None:
    size = plan.model.scopes.get(cell.scope or "")
    return None if not size else 100 * cell.parameters / size


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_finite(interval.low), _finite(interval.high)]
