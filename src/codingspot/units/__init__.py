"""Spots of whole units: their scores from activations, gradients or weights, the recipe ``units``, and its controls."""

from codingspot.units import controls as controls  # registers them
from codingspot.units import recipe as recipe  # registers it
from codingspot.units.moments import STATISTICS, Moments, Statistic, measure
from codingspot.units.scores import UNIT_SCORES, UnitDomain, UnitScoreTraits

__all__ = ["STATISTICS", "UNIT_SCORES", "Moments", "Statistic", "UnitDomain", "UnitScoreTraits", "measure"]
