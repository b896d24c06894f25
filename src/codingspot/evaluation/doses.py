"""At which dose something happens: between two evaluated doses, and how closely the items tell.

Along increasing doses some condition comes true: pass@1 falls below 1% (the onset k*), or general retention below 0.95
(the largest dose before that is k chosen by rule). The crossing lies between the last dose before the first at which
the condition holds, and that dose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crossing:
    """``before`` is the largest dose before the first at which the condition holds, None where it holds at all;
    ``past`` is that first dose, None where it holds at none."""

    before: float | None
    past: float | None


def crossing(doses: Sequence[float], holds: Sequence[bool]) -> Crossing:
    """Where along increasing ``doses`` a condition first ``holds``."""
    first = next((index for index, held in enumerate(holds) if held), len(doses))
    return Crossing(doses[first - 1] if first else None, doses[first] if first < len(doses) else None)


def crossing_interval(doses: Sequence[float], holds: NDArray[np.bool_]) -> tuple[float, float]:
    """Doses between which the crossing lies in 95% of the resamples; 0 below the first dose, infinity past the last.

    Args:
        doses: increasing.
        holds: [doses, resamples], whether the condition holds.
    """
    edges = np.array([0.0, *doses, math.inf])
    first = np.where(holds.any(axis=0), holds.argmax(axis=0), len(doses))
    low = np.quantile(edges[first], 0.025, method="inverted_cdf")
    high = np.quantile(edges[first + 1], 0.975, method="inverted_cdf")
    return float(low), float(high)


def next_dose(found: Crossing, smallest: float, precision: float) -> float | None:
    """The dose to evaluate next to know a crossing better, halfway in log k; None where it is known closely enough.

    Args:
        found: where the crossing lies so far.
        smallest: dose of a single parameter, below which there is none.
        precision: how close two doses around the crossing must be, in log10 k.
    """
    if found.past is None:
        return None
    below = smallest if found.before is None else found.before
    if below >= found.past or math.log10(found.past / below) <= precision:
        return None
    middle = float(f"{math.sqrt(below * found.past):.4g}")
    return middle if below < middle < found.past else None
