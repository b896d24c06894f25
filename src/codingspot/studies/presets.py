"""The shipped presets as studies of a model of one's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codingspot.errors import StudyError
from codingspot.studies import ALL_PRESETS

if TYPE_CHECKING:  # loading the stages takes seconds
    from codingspot.study import Study


def preset_study(name: str, model: str | None = None) -> Study:
    """The preset of that name for ``model`` (``org/name``, ``org/name@revision`` or a folder), or for its own.

    The study's name tells the model: a run directory is for one of the two only.

    Raises:
        StudyError: there is no such preset.
    """
    from codingspot.study import load_study

    if name not in ALL_PRESETS:
        raise StudyError(f"unknown preset {name!r}; use one of {', '.join(ALL_PRESETS)}")
    study = load_study(ALL_PRESETS[name], model)
    return study.model_copy(update={"name": f"{study.name} {short_name(study.model.id)}"})


def short_name(model: str) -> str:
    """The last part of a model's id or path, in letters that file names take."""
    last = model.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", last) or "model"
