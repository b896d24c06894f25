"""What is known of the testbed's trained models; those that ship are found in :mod:`codingspot.models.shipped`."""

from __future__ import annotations

from pathlib import Path

from codingspot.models.shipped import shipped_model as shipped_model
from codingspot.models.shipped import shipped_models as shipped_models
from codingspot.testbed.recipe import read_recipe


def languages_of(folder: Path) -> tuple[str, ...]:
    """Programming languages that the testbed model in ``folder`` was trained on, by its ``recipe.json``."""
    return read_recipe(folder / "recipe.json").languages
