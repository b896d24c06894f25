"""Analyses: tidy tables beside a run's cells, with a record of what they were made from.

An analysis called NAME is ``analysis/NAME.json`` and one ``analysis/*.parquet`` a table. The record is written last, so
that an analysis without one, or with another's, counts as not made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from codingspot.analysis_tables import TABLES, read_table, write_table
from codingspot.directories import discard_scratch, held, scratch_folder
from codingspot.errors import ArtefactError, FingerprintError
from codingspot.files import read_json, remove, write_json
from codingspot.provenance import library_versions
from codingspot.records import FileName, Plain, Record, read_model
from codingspot.tables import TableSchema

FOLDER = "analysis"


class _Record(Record):
    """What a saved analysis was made from, and its tables."""

    inputs: Plain
    tables: tuple[FileName, ...]


def save_analysis(
    directory: Path,
    name: str,
    tables: Mapping[str, pd.DataFrame],
    inputs: Mapping[str, Any],
    schemas: Mapping[str, TableSchema] = TABLES,
) -> None:
    """Write ``tables`` (file stem to rows) and the record of ``inputs`` into ``directory/analysis``.

    The same tables give the same bytes. ``inputs`` is plain data: model, fingerprints, options.

    Raises:
        ArtefactError: a table is not what ``schemas`` declare of it.
        FingerprintError: ``directory`` holds this analysis of other inputs, or is no run directory
            (:func:`codingspot.directories.held`).
    """
    folder = directory / FOLDER
    with held(directory):
        is_saved(directory, name, inputs)
        remove(folder / f"{name}.json")
        for stem, table in tables.items():
            write_table(folder, stem, table, schemas)
        record = {"inputs": dict(inputs), "tables": list(tables), "versions": library_versions()}
        write_json(folder / f"{name}.json", record)


def saved_inputs(directory: Path, name: str) -> Mapping[str, Any] | None:
    """What the saved analysis was made from, or None where there is none that is whole.

    Raises:
        ArtefactError: its record is corrupt.
    """
    file = directory / FOLDER / f"{name}.json"
    if not file.exists():
        return None
    record = _record(file)
    whole = all((directory / FOLDER / f"{stem}.parquet").exists() for stem in record.tables)
    return record.inputs if whole else None


def _record(file: Path) -> _Record:
    return read_model(file, _Record, what="the record of an analysis", way_out="delete it and run the analysis again")


def load_tables(directory: Path, name: str, schemas: Mapping[str, TableSchema]) -> dict[str, pd.DataFrame]:
    """The tables of a saved analysis by file stem; a newer version's further ones are left alone.

    Raises:
        ArtefactError: its record or a table is missing, truncated or corrupt, or not what is declared of it.
    """
    stems = _record(directory / FOLDER / f"{name}.json").tables
    return {stem: read_table(directory / FOLDER, stem, schemas) for stem in stems if stem in schemas}


def is_saved(directory: Path, name: str, inputs: Mapping[str, Any]) -> bool:
    """Whether the analysis made from ``inputs`` is saved in ``directory``.

    Raises:
        FingerprintError: one made from other inputs is; the message names what differs.
    """
    saved = saved_inputs(directory, name)
    if saved is None:
        return False
    differing = [key for key in {**saved, **inputs} if saved.get(key) != inputs.get(key)]
    if differing:
        raise FingerprintError(
            f"{directory} holds the analysis {name} of another {' and '.join(differing)}; choose another --out"
        )
    return True


def _recorded(file: Path) -> Any:
    """What pieces were made from; None where that can't be read, since pieces can be made again."""
    try:
        return read_json(file)
    except ArtefactError:
        return None


class Pieces:
    """Finished pieces of an analysis that is under way, so that one that was stopped resumes.

    Args:
        directory: run directory; pieces are kept in ``scratch/NAME`` of it.
        name: of the analysis.
        inputs: as for :func:`save_analysis`; pieces made from others are thrown away.
    """

    def __init__(self, directory: Path, name: str, inputs: Mapping[str, Any]) -> None:
        self.folder = scratch_folder(directory, name)
        file = self.folder / "inputs.json"
        if self.folder.exists() and _recorded(file) != inputs:
            discard_scratch(self.folder)
            self.folder = scratch_folder(directory, name)
        write_json(file, dict(inputs))

    def path(self, file: str) -> Path:
        """Where a piece is, or is to be written atomically."""
        return self.folder / file

    def discard(self) -> None:
        """Remove every piece: the analysis is saved."""
        discard_scratch(self.folder)
