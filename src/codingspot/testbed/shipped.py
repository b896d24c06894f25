"""What is known of the testbed's trained models; those that ship are found in :mod:`codingspot.models.shipped`."""

from __future__ import annotations

from pathlib import Path

from codingspot.files import read_json
from codingspot.models.shipped import shipped_model as shipped_model
from codingspot.models.shipped import shipped_models as shipped_models
from codingspot.testbed.recipe import Recipe


def languages_of(folder: Path) -> tuple[str, ...]:
    """Programming languages that the testbed model in ``folder`` was trained on, by its ``recipe.json``."""
    return Recipe.model_validate(read_json(folder / "recipe.json")).languages
