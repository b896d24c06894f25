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
    figure,
    k_percent,
    number,
    text,
    truth,
    whole,
)

LEARNING: Final = "learning-"
"""Beginning of the stem of a learned spot's loss curve; the spot's name follows."""
UNITS: Final = "units-"
"""Beginning of the stem of the table of a spot's units; the spot's name follows."""
UNIT_DRAWS: Final = "unit-draws-"
"""Beginning of the stem of the table of the units that draws of text find; the spot's name follows."""


TABLES: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, pandas_types=True)
    for stem, columns in {
        "asked": (text("cell"), text("asked", "dead", "dose", "unmoved", "draw"), whole("items")),
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
