"""The trained models that ship with the package, and the names by which they are asked for.

Wherever a model is named, ``testbed`` is the plain shipped model, ``testbed-routed`` and ``testbed-scattered`` those
whose coding weights are known, and anything else a Hub id or a folder.
"""

from __future__ import annotations

from pathlib import Path

from codingspot.errors import ModelError
from codingspot.outputs import Place
from codingspot.settings import NotEmpty, checked, shown

MODELS = Path(__file__).parents[1] / "testbed" / "models"

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


def names_shipped(name: str) -> bool:
    """Whether ``name`` asks for a shipped model: it is ``testbed``, or ``testbed-...`` and no folder is called so."""
    return name == TESTBED or (name.startswith(f"{TESTBED}-") and not Path(name).is_dir())


def model_source(name: str) -> str:
    """Where a model is, by the name a user gives it: the folder of a shipped one, otherwise the name itself.

    ``testbed`` is the plain shipped model, ``testbed-NAME`` the shipped one of that name, unless a folder is called so.

    Raises:
        ModelError: the name is empty, or ``testbed-...`` and no such model ships with the package.
    """
    try:
        checked(NotEmpty, name)
    except ValueError as error:
        raise ModelError(f"no model can be called {shown(name)}: {error}") from None
    if not names_shipped(name):
        return name
    return str(shipped_model() if name == TESTBED else shipped_model(name.removeprefix(f"{TESTBED}-")))


def input_places(model: str, *others: Place) -> list[Place]:
    """What is read for a model and ``others`` (corpora, files), named by a user: what output must keep clear of.

    Raises:
        ModelError: as :func:`model_source`.
    """
    return [model_source(model), *(other for other in others if other != TESTBED)]
