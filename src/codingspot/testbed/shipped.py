"""The trained models that ship with the package, and the names by which they are asked for.

Wherever a model is named, ``testbed`` is the plain shipped model, ``testbed-routed`` the one whose coding weights are
known, and anything else a Hub id or a folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from codingspot.errors import ModelError
from codingspot.models import LoadedModel, load_model
from codingspot.testbed.recipe import read_recipe

MODELS = Path(__file__).parent / "models"

TESTBED = "testbed"
"""Name of the plain shipped model; of the corpus, too, that its world makes."""


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


def model_source(name: str) -> str:
    """Where a model is, by the name a user gives it: the folder of a shipped one, otherwise the name itself.

    ``testbed`` is the plain shipped model, ``testbed-NAME`` the shipped one of that name, unless a folder is called so.

    Raises:
        ModelError: it is called ``testbed-...``, and no such model ships with the package.
    """
    if name == TESTBED:
        return str(shipped_model())
    kind, dash, shipped = name.partition("-")
    if kind == TESTBED and dash and not Path(name).is_dir():
        return str(shipped_model(shipped))
    return name


def load_named(name: str, **options: Any) -> LoadedModel:
    """Load a model by the name a user gives it (:func:`model_source`).

    A shipped model has its name as its id: its folder differs between machines.

    Args:
        name: ``testbed``, ``testbed-routed``, a Hub id or a folder.
        options: those of :func:`codingspot.models.load_model`.

    Raises:
        ModelError: as :func:`model_source` and :func:`codingspot.models.load_model`.
    """
    source = model_source(name)
    loaded = load_model(source, **options)
    return loaded if source == name else replace(loaded, id=name)


def languages_of(folder: Path) -> tuple[str, ...]:
    """Programming languages that the testbed model in ``folder`` was trained on, by its ``recipe.json``."""
    return read_recipe(folder / "recipe.json").languages
