"""A recipe that is computed from scores."""

from codingspot.spot import RECIPES, RecipeTraits
from codingspot.spot.candidates import Candidates, Keys
from codingspot.spot.requirements import general_text


@RECIPES.register(
    "least_general",
    label="what {general} needs least",
    traits=RecipeTraits(contrast=True, needs=general_text, by="By least need of {general}"),
)
def least_general(candidates: Candidates) -> Keys:
    """Minus the largest general magnitude."""
    return lambda run: (run.magnitudes(candidates.general).amax(0).neg(), None)
