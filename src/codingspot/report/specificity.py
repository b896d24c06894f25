"""Whether a spot is specific to code, decided from numbers and intervals alone.

A spot is judged at one dose. General ability is *kept* where its retention is at least 0.95 and no general domain's
perplexity has more than doubled. The dose judged is the one that the study names. Where it names none, it is the one
that leaves the least code among those that keep general ability, if it leaves at most half of it; otherwise the paper's
onset (smallest k with pass@1 below 1%) or, where there is none, the dose that leaves the least code of all.
*Selectivity* is general minus code retention, both corrected for chance. The rules, in turn:

1. Where code or general ability is too near chance in the original model, nothing can be said.
2. Code that is unharmed at that dose (it keeps at least 95%, or its interval reaches 1) makes no coding spot: the
   spot has no effect, and so no specific one, or a general one.
3. Selectivity whose 95% interval lies below 0 is a general effect; one that covers 0 is not specific.
4. Where general ability isn't kept, the spot is not specific.
5. Every matched random control must stay below the interval of the spot's selectivity. Without matched controls a
   spot is called specific only with that reservation.
6. By the losses of held-out text the spot must stand outside the spread of the draws of each matched control, at 5%
   (:mod:`codingspot.evaluation.standing`): at the dose that the study names, or else the spot and every draw at the
   dose where each is most selective. Fewer than 19 draws can't show that; then the finding says so, and rule 5 decides.

Where no task was asked, losses alone decide, by 2, 3 and 6: code is unharmed where its text keeps at least 95% of its
probability a token (the geometric mean over tokens, mean over the languages), and general text mustn't lose as much.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from codingspot.ablation import CONTROLS
from codingspot.evaluation.metrics import KEPT as KEPT
from codingspot.evaluation.metrics import LOST as LOST
from codingspot.evaluation.metrics import onset
from codingspot.evaluation.standing import PERPLEXITY_LIMIT as PERPLEXITY_LIMIT
from codingspot.evaluation.standing import Standing, selectivity_by_losses, stand
from codingspot.evaluation.statistics import Interval
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.study.cells import Asked, Control, Plan


class Verdict(StrEnum):
    """What may be said of a spot at its key dose."""

    UNDEFINED = "not defined"
    NO_EFFECT = "not specific, no effect"
    GENERAL = "general"
    NOT_SPECIFIC = "not specific"
    NO_MORE_THAN_CONTROLS = "no more than its controls"
    UNCONTROLLED = "specific, not controlled"
    BY_LOSSES = "specific by losses"
    SPECIFIC = "specific"


@dataclass(frozen=True)
class Finding:
    """The verdict on one spot.

    Attributes:
        spot: its name.
        verdict: see the rules of this module.
        cell: the spot at the dose judged.
        kept: the cell with the least code among the doses that keep general ability; None where no dose does.
        matched: the matched controls at the dose judged, one a seed.
        standing: the spot among all draws of the matched control that it surpasses the least, by losses; None where
            there is no such draw, or no held-out text of both kinds.
        shares: share (0-1) of the parameters edited in ``vocabulary`` (embedding and output head), ``norms`` and
            ``blocks``; empty where it isn't known.
    """

    spot: str
    verdict: Verdict
    cell: CellSummary
    kept: CellSummary | None
    matched: tuple[CellSummary, ...]
    standing: Standing | None
    shares: Mapping[str, float]


def selectivity(cell: CellSummary) -> float | None:
    """General minus code retention: 1 takes code alone, 0 both alike, below 0 general ability more. None: undefined."""
    code, general = cell.metrics.code_retention, cell.metrics.general_retention
    return None if code is None or general is None else general - code


def selectivity_interval(cell: CellSummary) -> Interval | None:
    """95% interval of :func:`selectivity`, from those of its two terms, whose items are different and independent.

    Method of variance estimates recovery (Zou and Donner 2008, Statistics in Medicine 27, equation 3): with
    a - b in mind, low = a - b - sqrt((a - a_low)^2 + (b_high - b)^2), and high likewise.
    """
    a, b = cell.metrics.general_retention, cell.metrics.code_retention
    a_range, b_range = cell.intervals.general_retention, cell.intervals.code_retention
    if a is None or b is None or a_range is None or b_range is None:
        return None
    return Interval(
        a - b - math.hypot(a - a_range.low, b_range.high - b),
        a - b + math.hypot(a_range.high - a, b - b_range.low),
    )


def general_perplexity_ratio(cell: CellSummary, plan: Plan) -> float:
    """The largest factor on the perplexity of a general domain; 1 where the study has none."""
    names = [domain.name for domain in plan.domains if domain.kind == "general"]
    return max((cell.perplexity_ratio[name] for name in names if name in cell.perplexity_ratio), default=1.0)


def keeps_general(cell: CellSummary, plan: Plan) -> bool:
    """Whether general ability counts as kept in a cell."""
    retention = cell.metrics.general_retention
    return retention is not None and retention >= KEPT and general_perplexity_ratio(cell, plan) <= PERPLEXITY_LIMIT


def judge(summary: RunSummary, spot: str, density: pd.DataFrame | None = None) -> Finding:
    """Apply the rules of this module to one spot; ``density`` only adds where its parameters lie."""
    cells = tuple(c for c in summary.of(spot) if not c.asked.asks_nothing) or summary.of(spot)
    kept = min((c for c in cells if keeps_general(c, summary.plan)), key=_code, default=None)
    named = tuple(c for c in summary.of(spot) if c.cell.k_percent == summary.judged.get(spot))
    standing = _standing(summary, spot)
    if by_losses_alone(summary, spot):
        verdict, cell = _decide_by_losses(summary, named or cells, standing)
    else:
        verdict, cell = _decide(summary, spot, named or cells, kept, standing)
    return Finding(
        spot=spot,
        verdict=verdict,
        cell=cell,
        kept=kept,
        matched=_matched(summary, spot, cell.cell.k_percent),
        standing=standing,
        shares=_shares(density, spot, cell.cell.k_percent),
    )


def by_losses_alone(summary: RunSummary, spot: str) -> bool:
    """Whether no task was asked of a spot, nor will be."""
    return not summary.plan.tasks or all(
        cell.asked.asks_nothing and cell.asked is not Asked.PENDING for cell in summary.of(spot)
    )


def judge_all(summary: RunSummary, density: pd.DataFrame | None = None) -> tuple[Finding, ...]:
    """One finding a spot, in the study's order."""
    return tuple(judge(summary, spot, density) for spot in summary.plan.spots())


def _shares(density: pd.DataFrame | None, spot: str, k_percent: float) -> dict[str, float]:
    if density is None:
        return {}
    rows = density[(density["spot"] == spot) & (density["k_percent"] == k_percent)]
    total = float(rows["selected"].sum())
    if not total:
        return {}
    places = {
        "vocabulary": rows["kind"].isin(("embedding", "head")),
        "norms": rows["block"] == "norm",
        "blocks": rows["block"].isin(("attention", "mlp")),
    }
    return {place: float(rows.loc[inside, "selected"].sum()) / total for place, inside in places.items()}


def _decide(
    summary: RunSummary,
    spot: str,
    cells: tuple[CellSummary, ...],
    kept: CellSummary | None,
    standing: Standing | None,
) -> tuple[Verdict, CellSummary]:
    judged = _judged(cells, kept if kept in cells else None)
    code, general = judged.metrics.code_retention, judged.metrics.general_retention
    if code is None or general is None:
        return Verdict.UNDEFINED, judged
    if _unharmed(code, judged.intervals.code_retention):
        worst = min(cells, key=_general)
        if _unharmed(_general(worst), worst.intervals.general_retention):
            return Verdict.NO_EFFECT, cells[-1]
        return Verdict.GENERAL, worst
    interval = selectivity_interval(judged)
    if interval is None or interval.low <= 0:
        return (Verdict.GENERAL if interval and interval.high < 0 else Verdict.NOT_SPECIFIC), judged
    if not keeps_general(judged, summary.plan):
        return Verdict.NOT_SPECIFIC, judged
    tested = standing is not None and standing.can_reach_level
    reached = [selectivity(control) for control in _matched(summary, spot, judged.cell.k_percent)]
    if not reached and not tested:
        return Verdict.UNCONTROLLED, judged
    surpassed = not reached or max(_defined(reached), default=math.inf) < interval.low
    if tested and standing is not None:
        surpassed &= standing.outside
    return (Verdict.SPECIFIC if surpassed else Verdict.NO_MORE_THAN_CONTROLS), judged


def _decide_by_losses(
    summary: RunSummary, cells: tuple[CellSummary, ...], standing: Standing | None
) -> tuple[Verdict, CellSummary]:
    """The rules where no task was asked, at the dose at which the spot is most selective."""
    changes = [_loss_changes(cell, summary.plan) for cell in cells]
    if not all(code and general for code, general in changes):
        return Verdict.UNDEFINED, cells[-1]
    found = [selectivity_by_losses(code, general) or 0.0 for code, general in changes]
    selected = max(range(len(cells)), key=lambda index: found[index])
    judged, code = cells[selected], changes[selected][0]
    if sum(code) / len(code) <= -math.log(KEPT):
        return Verdict.NO_EFFECT, judged
    if found[selected] <= 0:
        return Verdict.NOT_SPECIFIC, judged
    if standing is None or not standing.can_reach_level:
        return Verdict.UNDEFINED, judged
    return (Verdict.BY_LOSSES if standing.outside else Verdict.NO_MORE_THAN_CONTROLS), judged


def _standing(summary: RunSummary, spot: str) -> Standing | None:
    """The spot among the draws of each matched control, by losses: that in which it stands out the least."""
    named = summary.judged.get(spot)
    doses = summary.doses(spot) if named is None else (named,)
    own = _selectivities({cell.cell.k_percent: cell for cell in summary.of(spot)}, doses, summary.plan)
    found = []
    for control in matched_controls(summary, spot):
        each = (_selectivities(cells, doses, summary.plan) for cells in summary.draws(spot, control).values())
        drawn = [values for values in each if values]
        if own and drawn:
            found.append(stand(own, drawn))
    return max(found, key=lambda standing: standing.p_value, default=None)


def _selectivities(cells: Mapping[float, CellSummary], doses: Iterable[float], plan: Plan) -> list[float]:
    """Selectivity by losses at every dose; nothing where a dose or the text of a kind is missing."""
    found = [selectivity_by_losses(*_loss_changes(cells[k], plan)) if k in cells else None for k in doses]
    return _defined(found) if None not in found else []


def _loss_changes(cell: CellSummary, plan: Plan) -> tuple[list[float], list[float]]:
    """Changes of the loss of every domain of code, and of every general one, nats a token."""
    kinds, ratios = {domain.name: domain.kind for domain in plan.domains}, cell.perplexity_ratio
    code, general = (
        [math.log(ratios[name] or sys.float_info.min) for name in ratios if kinds[name] == kind]
        for kind in ("code", "general")
    )
    return code, general


def matched_controls(summary: RunSummary, spot: str) -> list[Control]:
    """A spot's controls that have its number of parameters in every tensor: those a specific spot must surpass."""
    return [c for c in summary.controls(spot) if CONTROLS.traits_if_known(c).matches_tensors]


def _matched(summary: RunSummary, spot: str, k_percent: float) -> tuple[CellSummary, ...]:
    """Every draw at one dose, of those asked the tasks, of every control with the spot's number in each tensor."""
    drawn = (cell for control in matched_controls(summary, spot) for cell in summary.at(spot, control, k_percent))
    return tuple(cell for cell in drawn if not cell.asked.asks_nothing)


def _judged(cells: tuple[CellSummary, ...], kept: CellSummary | None) -> CellSummary:
    """The cell whose dose a spot is judged by; of equal ones the smallest dose."""
    if kept is not None and (kept.metrics.code_retention or 0.0) <= LOST:
        return kept
    k = onset({cell.cell.k_percent: _code(cell) for cell in cells if cell.metrics.code_gone is not None})
    return min(cells, key=_code) if k is None else next(cell for cell in cells if cell.cell.k_percent == k)


def _unharmed(retention: float, interval: Interval | None) -> bool:
    return retention >= KEPT or (interval is not None and interval.high >= 1)


def _code(cell: CellSummary) -> float:
    return math.inf if cell.metrics.code is None else cell.metrics.code


def _general(cell: CellSummary) -> float:
    return math.inf if cell.metrics.general_retention is None else cell.metrics.general_retention


def _defined(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
