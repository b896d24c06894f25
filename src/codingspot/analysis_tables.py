"""The tables of a study's own analyses: the file stem of each, its columns and their types; a view declares its own.

What the columns mean is said by what makes a table. Figures that may not be defined may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from codingspot.tables import (
    TableSchema,
    correlation,
    domain_kind,
    figure,
    k_percent,
    number,
    share,
    text,
    texts,
    truth,
    whole,
)

LEARNING: Final = "learning-"
"""Beginning of the stem of a learned spot's loss curve; the spot's name follows."""
UNITS: Final = "units-"
"""Beginning of the stem of the table of a spot's units; the spot's name follows."""
UNIT_DRAWS: Final = "unit-draws-"
"""Beginning of the stem of the table of the units that draws of text find; the spot's name follows."""


_TENSOR = (text("tensor"), whole("layer", optional=True), text("block"), text("kind"), whole("parameters"))
_GROUP = (text("group", "spot", "random"), whole("seed", optional=True), k_percent())
_OVERLAP = (
    figure("parameters", 0),
    figure("common", 0),
    figure("expected", 0),
    *map(share, ("jaccard", "expected_jaccard", "chance_jaccard", "p_value")),
)
_SPLIT = tuple(share(name, absent=True) for name in ("split_jaccard", "split_low", "split_high"))

TABLES: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, pandas_types=True)
    for stem, columns in {
        "density": (text("spot"), k_percent(), *_TENSOR, whole("selected"), share("density"), share("share")),
        "agreement": (
            text("comparison"),
            *(text(name, optional=True, absent=True) for name in ("first", "second")),
            k_percent(),
            share("jaccard"),
            share("expected_jaccard"),
            correlation("spearman"),
            figure("token_budget", 0, absent=True),
            figure("pairs", 0, absent=True),
            share("lowest_jaccard", absent=True),
        ),
        "overlap": (*texts("scope", "first", "second"), k_percent(), *_OVERLAP, *_SPLIT),
        "overlap_tensors": (
            *texts("scope", "first", "second"),
            k_percent(),
            *_TENSOR,
            *map(whole, ("first_selected", "second_selected", "common")),
            figure("expected", 0),
            *map(share, ("jaccard", "expected_jaccard", "p_value")),
        ),
        "polysemanticity": (
            text("spot"),
            *_GROUP,
            *map(whole, ("parameters", "undefined")),
            *map(share, ("mean", "q05", "q25", "q50", "q75", "q95", "q50_low", "q50_high")),
        ),
        "shares": (text("spot"), *_GROUP, text("domain"), domain_kind(), share("share")),
        "reliability": (
            *texts("spot", "split"),
            k_percent(),
            *map(whole, ("parameters", "pairs")),
            *map(share, ("jaccard", "lowest_jaccard", "highest_jaccard", "expected_jaccard", "chance_jaccard")),
            *map(correlation, ("spearman", "lowest_spearman")),
        ),
        "unit_reliability": (
            text("spot"),
            text("split", "halves", "draws"),
            *map(whole, ("first", "second")),
            text("unit"),
            k_percent(),
            *map(whole, ("units", "other_units", "common")),
            figure("expected", 0),
            *map(share, ("jaccard", "expected_jaccard", "chance_jaccard", "p_value")),
        ),
        "prediction": (*texts("cell", "domain"), domain_kind(), whole("parameters"), number("predicted")),
        "language_matrix": (
            text("spot"),
            domain_kind("spot_kind"),
            text("measure", "loss", "pass@1"),
            text("of"),
            *map(figure, ("original", "value", "low", "high")),
            k_percent(),
            whole("parameters"),
            *texts("scope", "recipe"),
        ),
        "sequential": (
            *texts("cell", "question"),
            *map(whole, ("items", "available")),
            *map(figure, ("low", "high")),
        ),
        "asked": (text("cell"), text("asked", "dead", "dose", "unmoved", "draw"), whole("items")),
        "finetuning_losses": (whole("seed"), text("domain"), whole("step"), number("loss")),
        "importance_distribution": (
            text("domain"),
            *map(whole, ("step", "seed")),
            *_TENSOR,
            whole("head", optional=True),
            figure("mean", 0),
            share("share"),
        ),
        "importance_evolution": (
            text("comparison", "steps", "domains", "seeds"),
            *texts("first_domain", "second_domain"),
            *map(whole, ("first_step", "first_seed", "second_step", "second_seed")),
            k_percent(),
            *map(share, ("jaccard", "expected_jaccard")),
            correlation("spearman"),
        ),
        LEARNING: (
            text("spot"),
            whole("step"),
            text("part", "training", "validation"),
            k_percent(),
            *map(number, ("code_loss", "general_loss", "objective")),
        ),
        UNITS: (
            text("spot"),
            whole("rank", 1),
            *map(whole, ("layer", "expert", "index", "parameters")),
            number("code"),
            *map(figure, ("general", "key")),
            figure("effect", absent=True),
            truth("selected"),
        ),
        UNIT_DRAWS: (
            text("spot"),
            text("split", "halves", "draws"),
            whole("draw"),
            whole("rank", 1),
            whole("number"),
            whole("parameters", 1),
        ),
    }.items()
}


def write_table(folder: Path, stem: str, frame: pd.DataFrame, schemas: Mapping[str, TableSchema] = TABLES) -> None:
    """Write one table of an analysis into ``folder``, whole or not at all.

    Raises:
        ArtefactError: ``frame`` is not what is declared of a table of that name.
    """
    _schema(stem, schemas).write(folder / f"{stem}.parquet", frame)


def read_table(folder: Path, stem: str, schemas: Mapping[str, TableSchema] = TABLES) -> pd.DataFrame:
    """Read one table of an analysis from ``folder``.

    Raises:
        ArtefactError: it is missing, truncated or corrupt, or not what is declared of a table of that name.
    """
    return _schema(stem, schemas).read(folder / f"{stem}.parquet")


def _schema(stem: str, schemas: Mapping[str, TableSchema]) -> TableSchema:
    return schemas[next((each for each in (LEARNING, UNITS, UNIT_DRAWS) if stem.startswith(each)), stem)]
