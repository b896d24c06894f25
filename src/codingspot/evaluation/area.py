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

from codingspot.errors import EvaluationError
from codingspot.evaluation.resampling import Array, Resampled, Resampling
from codingspot.evaluation.statistics import Interval, percentile_intervals


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
    resampling: Resampling, curves: Mapping[str, Sequence[str]], *, code: Sequence[str], general: Sequence[str]
) -> dict[str, Area]:
    """The area of each curve, given as the names of its cells.

    Args:
        resampling: the outcomes of all cells, resampled.
        curves: name of a curve to its cells.
        code, general: names of the tasks whose mean retentions are the two axes.

    Raises:
        EvaluationError: a retention is not defined: the original model is too near chance on every task of a kind.
    """
    across, down = _axis(resampling, "general", general), _axis(resampling, "code", code)
    areas = {}
    for name, cells in curves.items():
        places = [resampling.cells.index(cell) for cell in cells]
        exact = curve_area(across.exact[places], down.exact[places])
        drawn = curve_area(across.drawn[places], down.drawn[places])
        areas[name] = Area(float(exact), percentile_intervals(drawn[np.newaxis])[0])
    return areas


def _axis(resampling: Resampling, kind: str, tasks: Sequence[str]) -> Resampled:
    found = resampling.retentions(tasks)
    if found is None:
        raise EvaluationError(f"the original model is too near chance on every {kind} task to have a curve")
    return found
