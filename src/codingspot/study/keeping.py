"""What is made and kept of scores: none, those of each language, or the sum of their magnitudes (*folded*)."""

from __future__ import annotations

from collections.abc import Iterator

from codingspot.ablation import CONTROLS
from codingspot.errors import StudyError
from codingspot.models import LARGE_MODEL
from codingspot.spot import RECIPES, recipe_parameters
from codingspot.study.config import Study


def wants_scores(study: Study) -> bool:
    """Whether anything in the study reads the scores of weights."""
    return any(
        section.traits.scored or any(CONTROLS.traits(control).scored for control in section.controls)
        for section in study.selections
    )


def folds(study: Study, parameters: int) -> bool:
    """Whether a model of so many ``parameters`` has its languages' scores folded.

    Raises:
        StudyError: the study asks for it, and for what needs each language's scores.
    """
    needed = next(_that_need_each(study), None)
    if study.scoring.keep == "folded" and needed is not None:
        raise StudyError(f"{needed} needs the scores of each language; set scoring.keep to all")
    asked = study.scoring.keep or ("folded" if parameters > LARGE_MODEL else "all")
    return asked == "folded" and needed is None


def _that_need_each(study: Study) -> Iterator[str]:
    if study.language_matrix is not None and study.language_matrix.spot().traits.scored:
        yield "language_matrix"
    if study.scoring.normalise != "tokens":
        yield f"scoring.normalise: {study.scoring.normalise}"
    for section in study.spots:
        recipe, parameters, _ = section.selected
        folded = RECIPES.traits(recipe, recipe_parameters(parameters)).folds and "languages" not in parameters
        if section.traits.scored and not folded:
            yield f"spot {section.name}: {recipe}"
        for control in section.controls if section.traits.scored else ():
            if CONTROLS.traits(control).regroups:
                yield f"spot {section.name}: {control}"
