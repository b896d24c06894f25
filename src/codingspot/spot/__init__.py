"""Spots: recipes that order parameters, exact selection of the best, and what a spot looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily
from codingspot.spot import contrast as contrast  # registers its recipes

if TYPE_CHECKING:
    from codingspot.spot.agreement import Variant, agreement, budget_curve, smallest_agreeing_budget
    from codingspot.spot.density import density
    from codingspot.spot.domains import domain_overlap, domain_spots, general_overlap
    from codingspot.spot.finding import find_spot
    from codingspot.spot.overlap import overlap, overlap_by, overlap_by_tensor, overlap_in_all
    from codingspot.spot.polysemanticity import Asked, measure_shares, polysemanticity, shares_by_domain
    from codingspot.spot.prediction import Scaled, predicted_changes
    from codingspot.spot.recipes import RECIPES, Reading, RecipeTraits, TrainingCost, check_recipe, recipe_parameters
    from codingspot.spot.reliability import reliability
    from codingspot.spot.spot import Spot
    from codingspot.spot.training import (
        MeasuredSpot,
        TrainedSpot,
        TrainingInput,
        measure_spot,
        train_spot,
        training_cost,
        training_text,
    )
    from codingspot.spot.whole_units import WholeUnits

__all__ = [
    "RECIPES",
    "Asked",
    "MeasuredSpot",
    "Reading",
    "RecipeTraits",
    "Scaled",
    "Spot",
    "TrainedSpot",
    "TrainingCost",
    "TrainingInput",
    "Variant",
    "WholeUnits",
    "agreement",
    "budget_curve",
    "check_recipe",
    "density",
    "domain_overlap",
    "domain_spots",
    "find_spot",
    "general_overlap",
    "measure_shares",
    "measure_spot",
    "overlap",
    "overlap_by",
    "overlap_by_tensor",
    "overlap_in_all",
    "polysemanticity",
    "predicted_changes",
    "recipe_parameters",
    "reliability",
    "shares_by_domain",
    "smallest_agreeing_budget",
    "train_spot",
    "training_cost",
    "training_text",
]

load_lazily(__name__)
