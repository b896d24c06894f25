"""Packages that only some of the work needs, each brought by an extra: ``pip install 'codingspot[eval]'``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from codingspot.errors import MissingPackageError

EXTRAS = {
    "accelerate": "lora",
    "datasets": "hub",
    "lm_eval": "eval",
    "matplotlib": "report",
    "mlflow": "mlflow",
    "ray": "cluster",
    "sklearn": "eval",
    "trackio": "trackio",
    "wandb": "wandb",
    "wordfreq": "lens",
}
"""What is imported, to the extra that brings it."""
TRACKERS = ("wandb", "trackio", "mlflow")
"""Of these, those that ``all`` leaves out: large, and of use to those alone who have them anyway."""


@contextmanager
def optional_packages() -> Iterator[None]:
    """Say of a package that isn't installed which extra brings it.

    Raises:
        MissingPackageError: one of :data:`EXTRAS` can't be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingPackageError(
            f"the package {package} is needed here and isn't installed; pip install 'codingspot[{EXTRAS[package]}]'"
            + ("" if package in TRACKERS else ", or 'codingspot[all]'"),
            name=package,
        ) from None
