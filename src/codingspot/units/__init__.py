"""Spots of whole units: their scores from activations, gradients or weights, the recipe ``units``, and its controls;
and the recipe ``unit_prior``, which selects weights by their units, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily
from codingspot.units import controls as controls  # registers them
from codingspot.units import prior as prior  # registers its recipe
from codingspot.units import recipe as recipe  # registers it

if TYPE_CHECKING:
    from codingspot.units.finding import find_units_spot
    from codingspot.units.moments import STATISTICS, Moments, Statistic, measure
    from codingspot.units.reliability import unit_reliability
    from codingspot.units.scores import UNIT_SCORES, UnitDomain, UnitScoreTraits

__all__ = [
    "STATISTICS",
    "UNIT_SCORES",
    "Moments",
    "Statistic",
    "UnitDomain",
    "UnitScoreTraits",
    "find_units_spot",
    "measure",
    "unit_reliability",
]

load_lazily(__name__)
