"""Analyses: tidy tables beside a run's cells, with a record of what they were made from.

An analysis called NAME is ``analysis/NAME.json`` and one ``analysis/*.parquet`` a table. The record is written last, so
that an analysis without one, or with another's, counts as not made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from codingspot.directories import discard_scratch, held, scratch_folder
from codingspot.errors import ArtefactError, FingerprintError
from codingspot.files import atomic_path, read_json, write_json
from codingspot.provenance import library_versions

FOLDER = "analysis"


def save_analysis(directory: Path, name: str, tables: Mapping[str, pd.DataFrame], inputs: Mapping[str, Any]) -> None:
    """Write ``tables`` (file stem to rows) and the record of ``inputs`` into ``directory/analysis``.

    The same tables give the same bytes. ``inputs`` is plain data: model, fingerprints, options.

    Raises:
        FingerprintError: ``directory`` holds this analysis of other inputs, or is no run directory
            (:func:`codingspot.directories.held`).
    """
    folder = directory / FOLDER
    with held(directory):
        is_saved(directory, name, inputs)
        (folder / f"{name}.json").unlink(missing_ok=True)
        for stem, table in tables.items():
            rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
            with atomic_path(folder / f"{stem}.parquet") as temporary:
                pq.write_table(rows, temporary, compression="zstd")
        record = {"inputs": dict(inputs), "tables": list(tables), "versions": library_versions()}
        write_json(folder / f"{name}.json", record)


def saved_inputs(directory: Path, name: str) -> Mapping[str, Any] | None:
    """What the saved analysis was made from, or None where there is none that is whole."""
    file = directory / FOLDER / f"{name}.json"
    if not file.exists():
        return None
    record = read_json(file)
    if not isinstance(record, dict) or not isinstance(record.get("inputs"), dict):
        raise ArtefactError(f"{file} is not the record of an analysis; delete it and run the analysis again")
    whole = all((directory / FOLDER / f"{stem}.parquet").exists() for stem in record.get("tables", ()))
    return record["inputs"] if whole else None


def load_table(directory: Path, stem: str, columns: Iterable[str] = ()) -> pd.DataFrame:
    """One table of an analysis.

    Raises:
        ArtefactError: it is missing, truncated or corrupt, or lacks one of ``columns``.
    """
    path = directory / FOLDER / f"{stem}.parquet"
    if not path.exists():
        raise ArtefactError(f"{path} does not exist; run the analysis that makes it")
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtefactError(f"{path} is truncated or corrupt ({reason}); delete it and run again") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ArtefactError(f"{path} has no column {missing[0]}; delete it and run the analysis again")
    return table


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
        if file.exists() and read_json(file) != inputs:
            discard_scratch(self.folder)
            self.folder = scratch_folder(directory, name)
        write_json(file, dict(inputs))

    def path(self, file: str) -> Path:
        """Where a piece is, or is to be written atomically."""
        return self.folder / file

    def discard(self) -> None:
        """Remove every piece: the analysis is saved."""
        discard_scratch(self.folder)
