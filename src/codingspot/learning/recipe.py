"""The recipe ``learned``: a mask over the shortlist that another recipe gives."""

from __future__ import annotations

from codingspot.learning.mask import LearnSettings, learn_mask
from codingspot.spot import RECIPES, RecipeTraits, TrainedSpot, TrainingCost, TrainingInput


def _cost(*, shortlist_percent: float, steps: int, sequences: int, **_others: object) -> TrainingCost:
    return TrainingCost(shortlist_percent, sequences, steps)


@RECIPES.register(
    "learned",
    label="a mask learned to remove code and spare {general}",
    traits=RecipeTraits(contrast=True, training=_cost, by="By a learned mask"),
)
def learned(
    given: TrainingInput,
    *,
    shortlist: str = "set_difference",
    shortlist_percent: float = 5.0,
    doses: tuple[float, ...] | None = None,
    steps: int = LearnSettings.steps,
    learning_rate: float = LearnSettings.learning_rate,
    sequences: int = LearnSettings.sequences,
    code_floor: float = LearnSettings.code_floor,
    general_weight: float = LearnSettings.general_weight,
    validation_sequences: int = LearnSettings.validation_sequences,
    patience: int = LearnSettings.patience,
    validate_every: int = LearnSettings.validate_every,
    seed: int = LearnSettings.seed,
) -> TrainedSpot:
    """A mask learned to remove code and spare general text, over a shortlist that another recipe gives.

    ``doses`` are by default the usual ones below the largest, and that. The other parameters are those of
    :class:`LearnSettings`.

    Raises:
        StudyError: a number that must be positive is not.
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
    return learn_mask(given.loaded, given.code, given.general, best, settings)
