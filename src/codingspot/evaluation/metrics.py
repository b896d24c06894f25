"""Figures made from rates: the papers' own, and those corrected for chance. Rates are in 0-1 throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

LEAST_MARGIN = 0.05
"""Retention, and so onset, area and M_s, is not defined where the original model is less than this above chance."""

KEPT = 0.95
"""Retention from which an ability counts as kept."""

LOST = 0.5
"""Code retention up to which a dose that keeps general ability is the one to judge a spot by."""

ONSET_RATE = 0.01
"""The coding ability counts as gone where pass@1 is below this (Coding Spot, section 2)."""

_ROUNDING = 1e-9  # 0.30 - 0.25 is a little less than 0.05 in floating point


@dataclass(frozen=True)
class CellMetrics:
    """Everything the tables say about one cell. None where a figure is not defined.

    Attributes:
        rates: mean outcome of each task.
        average: mean rate of the general tasks.
        code: mean rate of the code tasks.
        general_change_percent: the papers' GTC (%), relative change of ``average``.
        code_change_percent: relative change of ``code``.
        m_s: see ``monosemanticity``; not defined where a mean retention isn't.
        retentions: of each task, see ``retention``.
        general_retention: mean retention of the general tasks where it is defined.
        code_retention: the same of the code tasks.
    """

    rates: Mapping[str, float]
    average: float | None
    code: float | None
    general_change_percent: float | None
    code_change_percent: float | None
    m_s: float | None
    retentions: Mapping[str, float | None]
    general_retention: float | None
    code_retention: float | None

    @property
    def code_gone(self) -> bool | None:
        """Whether pass@1 is below 1%; None where there was too little to lose: code retention isn't defined."""
        return None if self.code is None or self.code_retention is None else self.code < ONSET_RATE

    @property
    def general_lost(self) -> bool | None:
        """Whether general retention is below 0.95; None where it isn't defined."""
        return None if self.general_retention is None else self.general_retention < KEPT


def cell_metrics(
    rates: Mapping[str, float],
    original: Mapping[str, float],
    *,
    code: Sequence[str],
    general: Sequence[str],
    chance: Mapping[str, float],
) -> CellMetrics:
    """Figures of one cell beside the original model.

    Args:
        rates: mean outcome of each task in the cell; without any, no figure is defined.
        original: the same of the original model.
        code: names of the code tasks.
        general: names of the general tasks.
        chance: chance level of each task.
    """
    code, general = (tasks if rates else () for tasks in (code, general))
    average, average_before = _mean([rates[t] for t in general]), _mean([original[t] for t in general])
    coding, coding_before = _mean([rates[t] for t in code]), _mean([original[t] for t in code])
    retentions = {task: retention(rates[task], original[task], chance[task]) for task in rates}
    general_retention, code_retention = (mean_defined([retentions[t] for t in tasks]) for tasks in (general, code))
    defined = general_retention is not None and code_retention is not None
    return CellMetrics(
        rates=dict(rates),
        average=average,
        code=coding,
        general_change_percent=change_percent(average, average_before),
        code_change_percent=change_percent(coding, coding_before),
        m_s=monosemanticity(coding, coding_before, average, average_before) if defined else None,
        retentions=retentions,
        general_retention=general_retention,
        code_retention=code_retention,
    )


def task_rates(outcomes: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean outcome of every task in every cell: cell to task to rate.

    Args:
        outcomes: ``Results.outcomes``.
    """
    means = outcomes.groupby(["cell", "task"], sort=False, as_index=False)["outcome"].mean()
    rates: dict[str, dict[str, float]] = {}
    for cell, task, rate in zip(means["cell"], means["task"], means["outcome"], strict=True):
        rates.setdefault(cell, {})[task] = float(rate)
    return rates


def perplexities(losses: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Perplexity of every domain in every cell, exp(sum of losses / sum of tokens): cell to domain to value.

    Infinite where a loss is infinite or the mean is too large for its exponential.

    Args:
        losses: ``Results.losses``.
    """
    sums = losses.groupby(["cell", "domain"], sort=False, as_index=False)[["loss", "tokens"]].sum()
    found: dict[str, dict[str, float]] = {}
    for cell, domain, loss, tokens in zip(*(sums[name] for name in sums), strict=True):
        found.setdefault(cell, {})[domain] = perplexity(float(loss), int(tokens))
    return found


def perplexity(loss: float, tokens: int) -> float:
    """exp(loss / tokens), loss in nats; infinite where that overflows or the loss is not a number."""
    if tokens == 0 or math.isnan(loss):
        return math.inf
    try:
        return math.exp(loss / tokens)
    except OverflowError:
        return math.inf


def change_percent(rate: float | None, original: float | None) -> float | None:
    """Relative change in percent, 100 (rate / original - 1); not defined where the original is 0."""
    if rate is None or not original:
        return None
    return 100 * (rate / original - 1)


def monosemanticity(
    code: float | None, original_code: float | None, average: float | None, original_average: float | None
) -> float | None:
    """The papers' M_s = (code0 - code) / (1 + (general0 - general)), in percentage points.

    Coding Spot, equation 2, says relative change; only percentage points reproduce its twelve published values. It
    is not defined where general tasks gain a percentage point or more: the denominator is then 0 or negative.
    """
    if code is None or original_code is None or average is None or original_average is None:
        return None
    denominator = 1 + 100 * (original_average - average)
    return None if denominator <= _ROUNDING else 100 * (original_code - code) / denominator


def retention(rate: float, original: float, chance: float) -> float | None:
    """Chance-corrected retention R = (a - c) / (a0 - c): 1 keeps the ability, 0 is chance, below 0 worse than chance.

    Not defined where a0 - c is below 0.05: there is too little ability to lose.
    """
    margin = original - chance
    return None if margin < LEAST_MARGIN - _ROUNDING else (rate - chance) / margin


def mean_defined(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are defined; None where none is."""
    return _mean([value for value in values if value is not None])


def onset(code_rates: Mapping[float, float]) -> float | None:
    """Onset k*: the smallest evaluated k (percent) at which the code rate is below 1%; None where it never is.

    Coding Spot, section 2, 'Defining k and Sensitivity'.

    Args:
        code_rates: pass@1 for each k.
    """
    return min((k for k, rate in code_rates.items() if rate < ONSET_RATE), default=None)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
