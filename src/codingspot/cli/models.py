"""Models as commands name them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loading torch takes seconds, which `--help` should not
    from codingspot.models import LoadedModel


def load_named(model: str, device: str | None = None) -> LoadedModel:
    """Load a Hub id, a local folder, or the shipped model by the name ``testbed``, which it keeps as its id.

    Raises:
        ModelError: as :func:`codingspot.models.load_model`.
    """
    from codingspot.models import load_model
    from codingspot.study.config import TESTBED
    from codingspot.testbed.shipped import shipped_model

    loaded = load_model(shipped_model() if model == TESTBED else model, device=device)
    return replace(loaded, id=model)
