"""The recipe ``learned`` in a study file: from which shortlist, and how the mask is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from codingspot.errors import StudyError
from codingspot.learning import LearnSettings
from codingspot.settings import Dose, reason, shown
from codingspot.spot import check_recipe

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
        check_recipe(shortlist, {})
        largest = k_percent[-1]
        doses = (*(k for k in LearnSettings.doses if k < largest), largest)
        try:
            percent = _NUMBER.validate_python(percent)
            settings = _SETTINGS.validate_python({"doses": doses, **given})
        except ValidationError as error:
            first = error.errors()[0]
            name, value = first["loc"] or ("shortlist_percent",), shown(first["input"])
            raise StudyError(f"recipe {LEARNED!r}: {name[0]} is {value} ({reason(first)}); correct it") from None
        if settings.doses[-1] < largest:
            raise StudyError(f"recipe {LEARNED!r}: doses end at {settings.doses[-1]:g}%, below the spot's {largest:g}%")
        if percent <= settings.doses[-1]:
            raise StudyError(
                f"shortlist_percent is {percent:g}; a mask of {settings.doses[-1]:g}% is chosen from more than that"
            )
        return cls(shortlist, percent, settings)


_PARAMETERS: Final = ("shortlist", "shortlist_percent", *(field.name for field in fields(LearnSettings)))
_NUMBER = TypeAdapter(Dose)
_SETTINGS = TypeAdapter(LearnSettings)
