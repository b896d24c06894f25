"""The run directory: every artefact of one study, written whole or not at all, so that a stopped run resumes.

What an artefact was made from is told by its key (:mod:`codingspot.study.keys`), kept in ``keys.json`` by its path. A
study whose evaluation, spots or grids changed goes on in the same directory: an artefact with another key is set aside,
as ``NAME@KEY`` beside its place, where it is found again should its study come back, and made anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pydantic import RootModel

from codingspot.analysis_tables import read_table, write_table
from codingspot.directories import held
from codingspot.errors import FingerprintError
from codingspot.evaluation.items import ITEMS, ITEMS_FILE
from codingspot.evaluation.results import LOSSES, LOSSES_FILE, OUTCOMES_FILE, Results, read_losses
from codingspot.files import atomic_path, move, read_text, remove, write_json, write_text
from codingspot.mirrors import mirror_of
from codingspot.outputs import MANIFEST, contents
from codingspot.records import read_model
from codingspot.study.cells import Cell, Plan
from codingspot.study.config import Study
from codingspot.study.reading import load_study

CHANGEABLE = frozenset({"description", "spots", "evaluation", "analyses", "language_matrix", "scoring.reuse"})
"""Settings of a study that may change while its run directory stays."""

_KEYS = "keys.json"
_ITEMS = "evaluation_items"


class _Inputs(RootModel[dict[str, str]]):
    """``inputs.json``: fingerprints by name."""


class _Keys(RootModel[dict[str, str]]):
    """``keys.json``: what each artefact was made from, by its path in the directory."""


class RunDirectory:
    """Paths and completed cells of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores = path / "scores"
        self.draws = path / "draws"
        self.scores_manifest = path / "scores.json"
        """A copy of the manifest of scores that are another run's."""
        self.corpus = path / "corpus"
        self.analysis = path / "analysis"

    @classmethod
    def claim(cls, path: Path, study: Study) -> RunDirectory:
        """Open ``path`` for ``study``, making it if need be; a run that failed before it began is begun anew.

        Raises:
            FingerprintError: ``path`` holds a run of another study, which differs in more than is ``CHANGEABLE``; the
                message names the settings. Or it is no run directory, or another process writes there
                (:func:`codingspot.directories.held`).
        """
        file = path / "study.yaml"
        with held(path):
            differing = _differences(load_study(file), study) if file.exists() else []
            begun = set(contents(path)) - {MANIFEST, file.name}  # otherwise it never came to load its inputs
            fixed = [name for name in differing if not {name, name.partition(".")[0]} & CHANGEABLE]
            if differing and begun and (fixed or not (path / _KEYS).exists()):
                raise FingerprintError(
                    f"{path} holds a run of another study (differs in {', '.join(fixed or differing)}); "
                    "choose another --out"
                )
            if not file.exists() or not begun:
                write_text(file, study.to_yaml())
        return cls(path)

    def settle(self, keys: Mapping[str, str]) -> None:
        """Make the artefacts of these paths be of these keys, or be missing.

        One of another key is set aside, and one of this key that was set aside comes back. One whose key isn't known,
        of a run that was begun before artefacts had keys, is taken to be the study's own.
        """
        file = self.path / _KEYS
        known: dict[str, str] = {}
        if file.exists():
            known = read_model(file, _Keys, what="the record of artefacts' keys", way_out="choose another --out").root
        for path, key in keys.items():
            made = known.get(path, key)
            if made != key and os.path.lexists(self.path / path):
                move(self.path / path, self._aside(path, made))
        if any(known.get(path) != key for path, key in keys.items()):
            write_json(file, {**known, **keys})  # before any comes back, so that none is ever under another's key
        for path, key in keys.items():
            if self._aside(path, key).exists() and not os.path.lexists(self.path / path):
                move(self._aside(path, key), self.path / path)

    def _aside(self, path: str, key: str) -> Path:
        place = self.path / path
        return place.with_name(f"{place.name}@{key[:12]}")

    def adopt(self, study: Study) -> None:
        """Record ``study`` as the one that the run is now of, once it is known to be possible."""
        text, file = study.to_yaml(), self.path / "study.yaml"
        if read_text(file) != text:
            write_text(file, text)

    def claim_inputs(self, **inputs: str) -> None:
        """Record what the run's results depend on beside the study (weights, corpus), or check it on resuming.

        The evaluation's items may change, as what is made from them has keys.

        Raises:
            FingerprintError: the run directory was begun with other inputs.
        """
        file = self.path / "inputs.json"
        if not file.exists():
            write_json(file, inputs)
            return
        known = self.inputs()
        differing = [name for name, value in inputs.items() if known.get(name) != value]
        keyed = (self.path / _KEYS).exists()
        fixed = [name for name in differing if name != _ITEMS or not keyed]
        if fixed:
            raise FingerprintError(f"{self.path} was begun with another {' and '.join(fixed)}; choose another --out")
        if differing:
            write_json(file, inputs)

    def inputs(self) -> dict[str, str]:
        """What the run's results depend on beside the study.

        Raises:
            ArtefactError: the record is missing or corrupt.
        """
        file = self.path / "inputs.json"
        return read_model(file, _Inputs, what="the record of a run's inputs", way_out="choose another --out").root

    def read_scores_of(self, other: RunDirectory) -> None:
        """From now on read the scores of another run."""
        self.scores, self.draws = other.scores, other.draws

    def spot(self, name: str) -> Path:
        """File of a spot or of a drawn control."""
        return self.path / "spots" / f"{name}.safetensors"

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell's results are saved."""
        return self._folder(cell).is_dir()

    def unfinished(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells whose results aren't saved yet, in their order."""
        return [cell for cell in cells if not self.is_done(cell)]

    def unmeasured(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells whose losses aren't saved yet, in their order."""
        return [cell for cell in self.unfinished(cells) if not self.losses_file(cell).exists()]

    def save_cell(self, cell: Cell, results: Results) -> None:
        """Save a finished cell; it appears whole or not at all."""
        with atomic_path(self._folder(cell)) as temporary:
            temporary.mkdir()
            results.write(temporary)

    def save_losses(self, cell: Cell, losses: pd.DataFrame) -> None:
        """Save a cell's losses of documents before its tasks are asked."""
        LOSSES.write(self.losses_file(cell), losses)

    def losses(self, cell: Cell) -> pd.DataFrame | None:
        """The cell's saved losses of documents; None where there are none."""
        return read_losses(self.losses_file(cell)) if self.losses_file(cell).exists() else None

    def save_asked(self, table: pd.DataFrame) -> None:
        """Write what cells that aren't asked every item are asked (:mod:`codingspot.study.asking`)."""
        if len(table):
            write_table(self.analysis, "asked", table)

    def asked(self) -> dict[str, str]:
        """What cells that aren't asked every item are asked, by their names."""
        if not (self.analysis / "asked.parquet").exists():
            return {}
        table = read_table(self.analysis, "asked")
        return dict(zip(table["cell"], table["asked"], strict=True))

    def losses_file(self, cell: Cell) -> Path:
        """File of a cell's losses of documents."""
        return self.path / "losses" / f"{cell.name}.parquet"

    def cell_results(self, name: str) -> Results:
        """The results of one finished cell.

        Raises:
            ArtefactError: it isn't finished, or its files are corrupt.
        """
        return Results.read(self.path / "cells" / name)

    def merge(self, cells: Sequence[Cell]) -> Results:
        """Write ``results.parquet`` and ``losses.parquet`` of all cells, in the order given."""
        merged = Results.concat([Results.read(self._folder(cell)) for cell in cells])
        merged.write(self.path, force=True)
        return merged

    def save_plan(self, plan: Plan) -> None:
        """Write ``plan.json``; merged tables go where not all of its cells are finished, as they are no longer true."""
        if self.unfinished(plan.cells):
            for file in (OUTCOMES_FILE, LOSSES_FILE):
                remove(self.path / file)
        write_json(self.path / "plan.json", plan.model_dump(mode="json"))

    def save_items(self, items: pd.DataFrame) -> None:
        """Write what the items of the tasks ask."""
        ITEMS.write(self.path / ITEMS_FILE, items)

    def tell(self, cell: Cell) -> None:
        """Let a mirror of the directory have what another process saved of the cell."""
        for path in (self.losses_file(cell), self._folder(cell)):
            if path.exists():
                mirror_of(path).written(path)

    def _folder(self, cell: Cell) -> Path:
        return self.path / "cells" / cell.name


def _differences(saved: Study, asked: Study) -> list[str]:
    old, new = saved.model_dump(mode="json"), asked.model_dump(mode="json")
    found = []
    for key in new:
        if isinstance(new[key], dict) and isinstance(old[key], dict):
            found += [f"{key}.{inner}" for inner in new[key] if old[key].get(inner) != new[key][inner]]
        elif old[key] != new[key]:
            found.append(key)
    return found
