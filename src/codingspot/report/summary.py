"""One record a cell: its rates, its perplexities, what is made from them, and their intervals.

``summary.json`` is these records; every table, figure and sentence of a report is made from them too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from codingspot.evaluation.metrics import CellMetrics, cell_metrics, perplexities, task_rates
from codingspot.evaluation.resampling import Resampling
from codingspot.evaluation.sequential import on_common_items
from codingspot.evaluation.statistics import (
    NO_INTERVALS,
    CellIntervals,
    Interval,
    bootstrap_intervals,
    few_intervals,
)
from codingspot.report.labels import spot_title
from codingspot.report.run_files import Run
from codingspot.spot import RECIPES, RecipeTraits, recipe_parameters
from codingspot.study.cells import ORIGINAL, Asked, Cell, Control, Plan, Purpose


@dataclass(frozen=True)
class CellSummary:
    """Everything a report says about one cell.

    Attributes:
        cell: what was edited.
        percent_of_scope: parameters edited, in percent of the scope; None for the original model.
        metrics: rates (0-1), retentions and the papers' figures.
        intervals: 95% intervals of the same.
        asked: what of the tasks the cell was asked, and why where that isn't all.
        items: how many items of each task, where they were few.
        perplexity: of each domain; infinite where the model's output is not a number.
        perplexity_ratio: the same over the original model's.
    """

    cell: Cell
    percent_of_scope: float | None
    metrics: CellMetrics
    intervals: CellIntervals
    asked: Asked
    items: int
    perplexity: Mapping[str, float]
    perplexity_ratio: Mapping[str, float]

    def record(self) -> dict[str, Any]:
        """The cell as JSON values: rates in 0-1, perplexity null where infinite, intervals as [low, high].

        A cell that wasn't asked the tasks, or few items of each, says so. ``units``, how many whole units were edited,
        is there for spots of units alone.
        """
        fewer = {} if self.asked is Asked.ALL else {"asked": str(self.asked), "items_of_each_task": self.items}
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
            **({} if cell.units is None else {"units": cell.units}),
            "percent_of_scope": self.percent_of_scope,
            "seed": cell.seed,
            "purpose": cell.purpose,
            "tasks": dict(metrics.rates),
            "perplexity": {domain: finite(value) for domain, value in self.perplexity.items()},
            "code": metrics.code,
            "general": metrics.average,
            "code_retention": metrics.code_retention,
            "general_retention": metrics.general_retention,
            "m_s": metrics.m_s,
            **fewer,
            "intervals": {
                "tasks": {task: pair(interval) for task, interval in intervals.rates.items()},
                "code": pair(intervals.code),
                "general": pair(intervals.average),
                "code_retention": pair(intervals.code_retention),
                "general_retention": pair(intervals.general_retention),
            },
        }


@dataclass(frozen=True)
class RunSummary:
    """All cells of a run, in the plan's order, and ways to find them.

    Attributes:
        plan: the run's.
        cells: the original model first.
        missing: those that aren't finished yet.
        parameters: what the study gives to each spot's recipe.
        judged: the dose at which a spot is judged, where the study names it.
    """

    plan: Plan
    cells: tuple[CellSummary, ...]
    missing: tuple[Cell, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    judged: Mapping[str, float] = field(default_factory=dict)

    def recipe(self, cell: Cell) -> RecipeTraits:
        """What the recipe of a cell's spot declares of itself."""
        parameters = recipe_parameters(self.parameters.get(cell.spot or "", {}))
        return RECIPES.traits_if_known(cell.recipe or "", parameters)

    @property
    def is_partial(self) -> bool:
        """Whether some cell was asked fewer items than the original model, or none, other than further draws."""
        return any(cell.asked not in (Asked.ALL, Asked.DRAW) for cell in self.cells)

    @property
    def original(self) -> CellSummary:
        """The unedited model."""
        return self.cells[0]

    def title(self, spot: str) -> str:
        """The spot's name, recipe and scope, for people."""
        return spot_title(self.of(spot)[0].cell, self.parameters[spot], self.plan)

    def of(self, spot: str, control: Control | None = None) -> tuple[CellSummary, ...]:
        """The cells of a spot, or of one kind of its controls (all seeds), doses increasing."""
        return self._cells(spot, control, "dose")

    def refined(self, spot: str) -> tuple[CellSummary, ...]:
        """The cells of a spot on the grid and between its doses, doses increasing."""
        found = [*self._cells(spot, None, "dose"), *self._cells(spot, None, "refinement")]
        return tuple(sorted(found, key=lambda c: c.cell.k_percent))

    def kept_alone(self, spot: str, control: Control | None = None) -> tuple[CellSummary, ...]:
        """The cells in which everything but the spot, or one kind of its controls, and a base set is zeroed."""
        return self._cells(spot, control, "sufficiency")

    def at(self, spot: str, control: Control | None, k_percent: float) -> tuple[CellSummary, ...]:
        """The same at one dose: one cell for the spot itself, one a seed for a control."""
        return tuple(c for c in self.of(spot, control) if c.cell.k_percent == k_percent)

    def draws(self, spot: str, control: Control) -> dict[int, dict[float, CellSummary]]:
        """Every draw of a random control by its seed, further ones too: its cells by dose."""
        found: dict[int, dict[float, CellSummary]] = {}
        for cell in (*self._cells(spot, control, "dose"), *self._cells(spot, control, "draw")):
            if cell.cell.seed is not None:
                found.setdefault(cell.cell.seed, {})[cell.cell.k_percent] = cell
        return found

    def controls(self, spot: str) -> tuple[Control, ...]:
        """The kinds of control that a spot has, in the plan's order."""
        found = (c.cell for c in self.cells if c.cell.spot == spot and c.cell.purpose == "dose")
        return tuple(dict.fromkeys(cell.control for cell in found if cell.control is not None))

    def doses(self, spot: str) -> tuple[float, ...]:
        """The k at which a spot was edited, increasing, in percent of all parameters."""
        return tuple(dict.fromkeys(c.cell.k_percent for c in self.of(spot)))

    def _cells(self, spot: str, control: Control | None, purpose: Purpose) -> tuple[CellSummary, ...]:
        wanted = (spot, control, purpose)
        found = [c for c in self.cells if (c.cell.spot, c.cell.control, c.cell.purpose) == wanted]
        return tuple(sorted(found, key=lambda c: (c.cell.k_percent, c.cell.seed or 0)))

    def records(self) -> list[dict[str, Any]]:
        """The content of ``summary.json``: a record a cell, and of an unfinished run one that says what is missing."""
        missing = [{"cell": c.name, "spot": c.spot, "k_percent": c.k_percent, "missing": True} for c in self.missing]
        return [*(cell.record() for cell in self.cells), *missing]

    def frame(self) -> pd.DataFrame:
        """One row a cell, for a notebook; nested values are columns such as ``tasks.NAME`` and ``perplexity.NAME``."""
        frame: pd.DataFrame = pd.json_normalize(self.records())
        return frame


def resample(plan: Plan, outcomes: pd.DataFrame) -> Resampling:
    """The bootstrap over items that all intervals of the run of ``plan`` are from."""
    chance = {task.name: task.chance for task in plan.tasks}
    return Resampling(outcomes, original=ORIGINAL, chance=chance, seed=plan.bootstrap_seed)


def summarise(run: Run) -> RunSummary:
    """Compute every cell's figures from the run's results.

    A cell that was asked a few items alone, which were drawn at random, is set beside the original model on all items
    (:func:`codingspot.evaluation.statistics.few_intervals`). Where cells stopped once their question was settled, each
    is set beside the original model on the items it has, and the intervals of its mean retentions are those at which it
    stopped (:mod:`codingspot.evaluation.sequential`), which stay valid whatever made it stop.

    Raises:
        EvaluationError: a cell lacks items that another has.
    """
    plan = run.plan
    code = [task.name for task in plan.with_role("code")]
    general = [task.name for task in plan.with_role("general")]
    chance = {task.name: task.chance for task in plan.tasks}
    perplexity = perplexities(run.results.losses)
    before = perplexity.get(ORIGINAL, {})
    stopped = run.stopped

    def intervals(outcomes: pd.DataFrame) -> dict[str, CellIntervals]:
        return bootstrap_intervals(resample(plan, outcomes), code=code, general=general)

    outcomes = run.results.outcomes
    rates = task_rates(outcomes)
    found = intervals(run.in_full) if plan.tasks and stopped is None else {}
    cells = []
    for cell in plan.cells:
        asked, items = run.asked.get(cell.name, (Asked.ALL, 0))
        own, original = rates.get(cell.name, {}), rates.get(ORIGINAL, {})
        if not own:
            interval = NO_INTERVALS
        elif asked is Asked.DEAD:
            few = outcomes[outcomes["cell"] == cell.name]
            interval = few_intervals(few, original, chance, code=code, general=general)
        elif stopped is not None:
            shared = on_common_items(outcomes, [ORIGINAL, cell.name])
            original = task_rates(shared)[ORIGINAL]
            interval = _as_stopped(intervals(shared)[cell.name], stopped, cell)
        else:
            interval = found[cell.name]
        read = perplexity.get(cell.name, {})
        cells.append(
            CellSummary(
                cell=cell,
                percent_of_scope=_percent_of_scope(cell, plan),
                metrics=cell_metrics(
                    {task.name: own[task.name] for task in plan.tasks if own},
                    original,
                    code=code,
                    general=general,
                    chance=chance,
                ),
                intervals=interval,
                asked=asked,
                items=items,
                perplexity={domain.name: read[domain.name] for domain in plan.domains if domain.name in read},
                perplexity_ratio={
                    domain.name: read[domain.name] / before[domain.name]
                    for domain in plan.domains
                    if domain.name in read
                },
            )
        )
    parameters = {spot: run.recipe_parameters(spot) for spot in plan.spots()}
    return RunSummary(plan, tuple(cells), run.missing, parameters, run.judged())


def _as_stopped(intervals: CellIntervals, stopped: pd.DataFrame | None, cell: Cell) -> CellIntervals:
    """The intervals with those of the mean retentions at which a sequential evaluation stopped."""
    if stopped is None:
        return intervals
    rows = stopped[stopped["cell"] == cell.name].set_index("question")
    bounds = {
        str(question): Interval(float(low), float(high))
        for question, low, high in zip(rows.index, rows["low"], rows["high"], strict=True)
        if not math.isnan(low)
    }
    return replace(
        intervals,
        code_retention=bounds.get("code", intervals.code_retention),
        general_retention=bounds.get("general", intervals.general_retention),
    )


def _percent_of_scope(cell: Cell, plan: Plan) -> float | None:
    size = plan.model.scopes.get(cell.scope or "")
    return None if not size else 100 * cell.parameters / size


def finite(value: float) -> float | None:
    """The value as JSON: null where it is infinite or not a number."""
    return value if math.isfinite(value) else None


def pair(interval: Interval | None) -> list[float | None] | None:
    """The interval as JSON: [low, high], or null."""
    return None if interval is None else [finite(interval.low), finite(interval.high)]
