"""The trained models that ship with the package."""

from __future__ import annotations

from pathlib import Path

from codingspot.errors import ModelError
from codingspot.files import read_json
from codingspot.testbed.recipe import Recipe

MODELS = Path(__file__).parent / "models"


def shipped_models() -> tuple[str, ...]:
    """Names of the models that ship with the package, the plain one first."""
    return tuple(sorted(path.parent.name for path in MODELS.glob("*/model.safetensors")))


def shipped_model(name: str = "plain") -> Path:
    """Folder of a shipped testbed model.

    Raises:
        ModelError: there is none of that name; the message lists those there are.
    """
    folder = MODELS / name
    if not (folder / "model.safetensors").is_file():
        known = ", ".join(shipped_models()) or "none"
        raise ModelError(f"no testbed model {name!r} ships with this package; there is {known}")
    return folder


def languages_of(folder: Path) -> tuple[str, ...]:
    """Programming languages that the testbed model in ``folder`` was trained on, by its ``recipe.json``."""
    return Recipe.model_validate(read_json(folder / "recipe.json")).languages
