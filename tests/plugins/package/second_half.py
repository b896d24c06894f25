"""A recipe that is trained."""

import pandas as pd

from codingspot.spot import RECIPES, RecipeTraits, Spot, TrainedSpot, TrainingCost, TrainingInput


def _cost(_largest: float, **_parameters: object) -> TrainingCost:
    return TrainingCost("sum", 4.0, sequences=1, steps=1)


@RECIPES.register("second_half", label="the second half", traits=RecipeTraits(training=_cost, by="By the second half"))
def second_half(given: TrainingInput) -> TrainedSpot:
    """The second half of a shortlist, which no training could improve."""
    shortlist = given.shortlist("sum", 4.0)
    first, end = len(shortlist) // 2, len(shortlist) // 2 + shortlist.count(given.max_k_percent)
    about = {**shortlist.metadata, "recipe": {"name": "second_half"}, "k_percent": given.max_k_percent}
    spot = Spot(shortlist.positions[first:end], shortlist.scores[first:end], shortlist.layout, about)
    row = {"step": 0, "part": "training", "k_percent": given.max_k_percent}
    curve = pd.DataFrame([{**row, "code_loss": 0.0, "general_loss": 0.0, "objective": 0.0}])
    return TrainedSpot(spot, shortlist, curve)
