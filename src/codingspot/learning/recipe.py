"""The recipe ``learned``: a mask over the shortlist that another recipe gives."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from codingspot.errors import StudyError
from codingspot.learning.mask import LearnSettings, learn_mask
from codingspot.settings import Count, Dose, Doses, Seed
from codingspot.spot import RECIPES, RecipeTraits, TrainedSpot, TrainingCost, TrainingInput, check_recipe

_TOLD = 10  # how often is told how far it is


def _cost(
    largest: float, *, shortlist: str, shortlist_percent: float, doses: Doses | None, **settings: Any
) -> TrainingCost:
    check_recipe(shortlist, {})
    last = largest if doses is None else doses[-1]
    if last < largest:
        raise StudyError(f"recipe 'learned': doses end at {last:g}%, below the spot's {largest:g}%")
    if shortlist_percent <= last:
        raise StudyError(
            f"shortlist_percent is {shortlist_percent:g}; a mask of {last:g}% is chosen from more than that"
        )
    return TrainingCost(shortlist, shortlist_percent, settings["sequences"], settings["steps"])


def _traits(*, shortlist: str, **_parameters: object) -> RecipeTraits:
    folds = RECIPES.traits(shortlist).folds
    return RecipeTraits(contrast=True, training=_cost, folds=folds, by="By a learned mask")


@RECIPES.register(
    "learned",
    label="a mask learned to remove code and spare {general}",
    traits=_traits,
)
def learned(
    given: TrainingInput,
    *,
    shortlist: str = "set_difference",
    shortlist_percent: Dose = 5.0,
    doses: Doses | None = None,
    steps: Count = LearnSettings.steps,
    learning_rate: Annotated[float, Field(gt=0)] = LearnSettings.learning_rate,
    sequences: Count = LearnSettings.sequences,
    code_floor: float = LearnSettings.code_floor,
    general_weight: Annotated[float, Field(ge=0)] = LearnSettings.general_weight,
    validation_sequences: Count = LearnSettings.validation_sequences,
    patience: Count = LearnSettings.patience,
    validate_every: Count = LearnSettings.validate_every,
    seed: Seed = LearnSettings.seed,
) -> TrainedSpot:
    """A mask learned to remove code and spare general text, over a shortlist that another recipe gives.

    ``doses`` are by default the usual ones below the largest, and that. The other parameters are those of
    :class:`LearnSettings`.

    Raises:
        SelectionError: as :func:`learn_mask`.
        NonFiniteError: a loss is not a number.
    """
    largest = given.max_k_percent
    settings = LearnSettings(
        doses=(*(k for k in LearnSettings.doses if k < largest), largest) if doses is None else doses,
        steps=steps,
        learning_rate=learning_rate,
        sequences=sequences,
        code_floor=code_floor,
        general_weight=general_weight,
        validation_sequences=validation_sequences,
        patience=patience,
        validate_every=validate_every,
        seed=seed,
    )
    best = given.shortlist(shortlist, shortlist_percent)

    def on_step(done: int, most: int) -> None:
        if done % -(-most // _TOLD) == 0:
            given.stage(f"learning a mask, {done} of {most} steps")

    return learn_mask(given.loaded, given.code, given.general, best, settings, on_step=on_step)
