"""The view of alignment: its tables, and what makes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from codingspot.tables import TableSchema, share, text, texts, whole
from codingspot.views import Found, View
from codingspot.views.layers import after_layers
from codingspot.views.mexa.align import DISTINCT_ROWS, prepare_alignment
from codingspot.views.mexa.console import show_alignment, told
from codingspot.views.mexa.report import alignment_section

SCHEMAS: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, way_out="delete it and run the analysis again")
    for stem, columns in {
        "alignment": (
            whole("layer"),
            *texts("first", "second", "pairs"),
            *map(whole, ("rows", "hits")),
            *map(share, ("score", "null_mean", "null_high", "p_value")),
        ),
        "alignment_pooled": (
            *texts("first", "second", "pairs"),
            *map(whole, ("rows", "identical")),
            *map(share, ("mean", "max")),
            whole("best_layer", -1),
        ),
        "alignment_texts": (text("language"), *map(whole, ("rows", "duplicates", "tokens", "cut"))),
    }.items()
}


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
