"""The recipe ``learned`` in a study file: from which shortlist, and how the mask is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from codingspot.errors import StudyError
from codingspot.learning import LearnSettings
from codingspot.spot import RECIPES

LEARNED: Final = "learned"
"""The recipe that is trained (:mod:`codingspot.learning`) rather than computed from scores."""
SHORTLIST: Final = "set_difference"
SHORTLIST_PERCENT: Final = 5.0


@dataclass(frozen=True)
class LearnedRecipe:
    """The shortlist's recipe and its size in percent of all parameters, and the settings of the learning."""

    shortlist: str
    shortlist_percent: float
    settings: LearnSettings

    @classmethod
    def parse(cls, parameters: Mapping[str, Any], k_percent: Sequence[float]) -> LearnedRecipe:
        """From a spot's ``parameters`` and doses; what is learned at are the usual doses below the largest, and that.

        Raises:
            StudyError: a parameter is unknown or has a wrong value, or the shortlist isn't longer than the mask.
        """
        given = {"shortlist": SHORTLIST, "shortlist_percent": SHORTLIST_PERCENT, **parameters}
        unknown = sorted(set(given) - set(_PARAMETERS))
        if unknown:
            raise StudyError(f"recipe {LEARNED!r} has no parameter {unknown[0]!r}; it has {', '.join(_PARAMETERS)}")
        shortlist, percent = str(given.pop("shortlist")), given.pop("shortlist_percent")
        RECIPES.check(shortlist, {})
        largest = k_percent[-1]
        doses = (*(k for k in LearnSettings.doses if k < largest), largest)
        try:
            percent = _NUMBER.validate_python(percent)
            settings = _SETTINGS.validate_python({"doses": doses, **given})
        except ValidationError as error:
            first = error.errors()[0]
            name, value, reason = first["loc"] or ("shortlist_percent",), first["input"], first["msg"]
            raise StudyError(f"recipe {LEARNED!r}: {name[0]} is {value!r} ({reason}); correct it") from None
        if percent <= largest:
            raise StudyError(f"shortlist_percent is {percent:g}; a mask of {largest:g}% is chosen from more than that")
        return cls(shortlist, percent, settings)


_PARAMETERS: Final = ("shortlist", "shortlist_percent", *(field.name for field in fields(LearnSettings)))
_NUMBER = TypeAdapter(float)
_SETTINGS = TypeAdapter(LearnSettings)
