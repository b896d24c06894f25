"""Making a study's analyses: those that it asks for, at their point of the run, each unless it is saved already."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from codingspot.analysis_registry import ANALYSES, After, Given, analyses, is_made
from codingspot.analysis_tables import read_table, write_table
from codingspot.study.directory import RunDirectory


def make_analyses(after: After, given: Given, directory: RunDirectory) -> None:
    """Make and save the analyses of one point of the run; those of all cells anew, as there may be more of them.

    Raises:
        CodingSpotError: whatever an analysis refuses; what was saved before stays.
    """

    def saved(stem: str) -> pd.DataFrame | None:
        there = (directory.analysis / f"{stem}.parquet").exists()
        return read_table(directory.analysis, stem) if there else None

    wanted = [name for name in analyses() if ANALYSES.traits(name).after == after and is_made(name, given.study)]

    def advance(share: float) -> None:
        given.advance(share / len(wanted))

    for name in wanted:
        traits = ANALYSES.traits(name)
        schemas = traits.schemas
        first = next(iter(schemas), "")
        if (traits.once or after != "cells") and (directory.analysis / f"{first}.parquet").exists():
            continue
        with ANALYSES.at_work(name):
            tables = ANALYSES[name](replace(given, saved=saved, advance=advance))
            for stem in reversed(list(schemas)):  # the first says that all are there
                if stem in tables:
                    write_table(directory.analysis, stem, tables[stem], schemas)
