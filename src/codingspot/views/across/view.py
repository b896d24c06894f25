"""The view of agreement: its tables, and what makes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from codingspot.tables import TableSchema, correlation, figure, number, share, text, texts, whole
from codingspot.views import View
from codingspot.views.across.analysis import prepare_across
from codingspot.views.across.report import across_section

SCHEMAS: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, way_out="delete it and run the analysis again")
    for stem, columns in {
        "across_profiles": (
            *texts("view", "spot"),
            whole("layer"),
            number("depth", 0, 1),
            *map(figure, ("value", "relative")),
        ),
        "across_pairs": (text("overlap"), whole("pairs"), correlation("rho"), share("p_value")),
        "across_spots": (
            *texts("spot_name", "domain"),
            *map(whole, ("layer", "spot", "inside")),
            number("expected", 0),
        ),
        "across_ablation": (
            *texts("ablated", "spot", "evaluated"),
            whole("parameters"),
            whole("tokens"),
            number("loss"),
            figure("ratio", 0),
        ),
    }.items()
}

ACROSS: Final = View(schemas=SCHEMAS, prepare=prepare_across, section=across_section)
