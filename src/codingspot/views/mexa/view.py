"""The view of alignment: what makes and shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from codingspot.views import Found, View
from codingspot.views.layers import after_layers
from codingspot.views.mexa.align import DISTINCT_ROWS, prepare_alignment
from codingspot.views.mexa.console import show_alignment, told
from codingspot.views.mexa.report import alignment_section
from codingspot.views.mexa.schemas import SCHEMAS


def _profiles(found: Found) -> Mapping[str, pd.Series[float]]:
    """Mean score of distinct texts over pairs, after each layer."""
    scores = found["alignment"]
    distinct = scores[scores["pairs"] == DISTINCT_ROWS]
    return {"alignment": after_layers(distinct.groupby("layer")["score"].mean())}


MEXA: Final = View(
    schemas=SCHEMAS,
    prepare=prepare_alignment,
    section=alignment_section,
    told=told,
    show=show_alignment,
    profiles=_profiles,
)
