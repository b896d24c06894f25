"""How the views of one model agree: parameters (a spot), neurons (LAPE), and representations (MEXA, logit lens)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.settings import Settings
from codingspot.views.view import VIEWS, ViewTraits

if TYPE_CHECKING:
    from codingspot.views.view import View


def _load() -> View:
    from codingspot.views.across.view import ACROSS

    return ACROSS


@VIEWS.register(
    "across", label="Across the views", traits=ViewTraits(_load, place=1000, has_command=False, by_default=True)
)
class AcrossSettings(Settings):
    """Set the views, and the spots, beside one another; a study says whether."""
