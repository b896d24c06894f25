"""The tables of the view of alignment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from codingspot.tables import TableSchema, share, text, texts, whole

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
