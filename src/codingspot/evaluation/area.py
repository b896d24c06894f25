"""The area of a specificity curve: how much code an edit can take for each amount of general ability it leaves.

A curve is the points (g, c) of general and code retention at its doses, and (1, 1), the original model. Let c*(g) be
the least code retention among the points that keep at least g of general ability. The area is

    A = integral over g from 0 to 1 of 1 - c*(g),

retentions clipped to [0, 1]: 1 where some dose takes all code and nothing general, 0 where none takes any code. It is
that of the points reached, without interpolation, so that a curve of few doses is not flattered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from codingspot.errors import EvaluationError
from codingspot.evaluation.statistics import Interval, resampled_retentions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """The area of one curve and its 95% bootstrap interval over items."""

    value: float
    interval: Interval


def curve_area(general: Array, code: Array) -> Array:
    """The area under the definition above; ``general`` and ``code`` are retentions [doses, ...], area [...]."""
    general, code = np.clip(general, 0, 1), np.clip(code, 0, 1)
    order = np.argsort(-general, axis=0, kind="stable")
    kept = np.take_along_axis(general, order, axis=0)
    # From the point that keeps most downwards, the least code taken so far.
    lowest = np.minimum.accumulate(np.take_along_axis(code, order, axis=0), axis=0)
    widths = kept - np.concatenate([kept[1:], np.zeros_like(kept[:1])])
    return np.asarray(((1 - lowest) * widths).sum(axis=0))


def specificity_areas(
    outcomes: pd.DataFrame,
    curves: Mapping[str, Sequence[str]],
    *,
    original: str,
    code: Sequence[str],
    general: Sequence[str],
    chance: Mapping[str, float],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Area]:
    """The area of each curve, given as the names of its cells.

    Args:
        outcomes: ``Results.outcomes`` of all cells, the original model among them.
        curves: name of a curve to its cells.
        original: name of the original model's cell.
        code, general: names of the tasks whose mean retentions are the two axes.
        chance: chance level of each task.
        resamples: of the items, the same for all cells.
        seed: of the resamples.

    Raises:
        EvaluationError: a retention is not defined: the original model is too near chance on every task of a kind.
    """
    axes = []
    for kind, tasks in (("code", code), ("general", general)):
        found = resampled_retentions(outcomes, tasks, original, chance, resamples, seed)
        if found is None:
            raise EvaluationError(f"the original model is too near chance on every {kind} task to have a curve")
        axes.append(found)
    areas = {}
    for name, cells in curves.items():
        exact = curve_area(*(axes[i].exact.loc[list(cells)].to_numpy() for i in (1, 0)))
        drawn = curve_area(*(axes[i].drawn[[axes[i].cells.index(cell) for cell in cells]] for i in (1, 0)))
        low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
        areas[name] = Area(float(exact), Interval(float(low), float(high)))
    return areas
