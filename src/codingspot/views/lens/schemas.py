"""The tables of the view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from codingspot.tables import TableSchema, figure, number, share, text, texts, truth, whole

SCHEMAS: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, way_out="delete it and run the analysis again")
    for stem, columns in {
        "lens_sets": (
            *texts("source", "target"),
            whole("layer"),
            text("set"),
            text("kind", "all", "own"),
            whole("size"),
            *map(share, ("share", "probability")),
            figure("lift", 0),
            number("best_rank", 1),
        ),
        "lens_targets": (
            *texts("source", "target"),
            *map(whole, ("layer", "positions")),
            number("probability", 0, 1),
            number("log_probability"),
            number("rank", 1),
            number("first", 0, 1),
            number("entropy", 0),
        ),
        "lens_tokens": (
            *texts("source", "target"),
            *map(whole, ("layer", "place")),
            text("token"),
            number("probability", 0, 1),
        ),
        "lens_example": (
            *texts("source", "target"),
            *map(whole, ("layer", "position", "place")),
            text("token"),
            number("probability", 0, 1),
            text("answer"),
            truth("right"),
        ),
        "lens_generation": (*texts("source", "target", "method", "found"), whole("answers")),
        "lens_keywords": (*texts("set", "kind"), *map(whole, ("tokens", "skipped"))),
    }.items()
}
