"""Spots: recipes that order parameters, exact selection of the best, and what a spot looks like."""

from codingspot.spot import contrast as contrast  # registers its recipes
from codingspot.spot.agreement import Variant, agreement, budget_curve, smallest_agreeing_budget
from codingspot.spot.density import density
from codingspot.spot.overlap import overlap
from codingspot.spot.recipes import RECIPES
from codingspot.spot.spot import Spot, find_spot

__all__ = [
    "RECIPES",
    "Spot",
    "Variant",
    "agreement",
    "budget_curve",
    "density",
    "find_spot",
    "overlap",
    "smallest_agreeing_budget",
]
