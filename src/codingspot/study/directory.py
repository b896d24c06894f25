"""The run directory: every artefact of one study, written whole or not at all, so that a stopped run resumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import RootModel

from codingspot.directories import held
from codingspot.errors import FingerprintError
from codingspot.evaluation.results import Results
from codingspot.files import atomic_path, write_json, write_text
from codingspot.outputs import MANIFEST, contents
from codingspot.records import read_model
from codingspot.study.cells import Cell, Plan
from codingspot.study.config import Study
from codingspot.study.reading import load_study


class _Inputs(RootModel[dict[str, str]]):
    """``inputs.json``: fingerprints by name."""


class RunDirectory:
    """Paths and completed cells of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores = path / "scores"
        self.draws = path / "draws"
        self.corpus = path / "corpus"
        self.analysis = path / "analysis"

    @classmethod
    def claim(cls, path: Path, study: Study) -> RunDirectory:
        """Open ``path`` for ``study``, making it if need be; a run that failed before it began is begun anew.

        Raises:
            FingerprintError: ``path`` holds a run of another study; the message names the settings that differ. Or it
                is no run directory, or another process writes there (:func:`codingspot.directories.held`).
        """
        file = path / "study.yaml"
        with held(path):
            differing = _differences(load_study(file), study) if file.exists() else []
            begun = set(contents(path)) - {MANIFEST, file.name}  # otherwise it never came to load its inputs
            if differing and begun:
                raise FingerprintError(
                    f"{path} holds a run of another study (differs in {', '.join(differing)}); choose another --out"
                )
            if differing or not file.exists():
                write_text(file, study.to_yaml())
        return cls(path)

    def claim_inputs(self, **inputs: str) -> None:
        """Record what the run's results depend on beside the study (weights, corpus), or check it on resuming.

        Raises:
            FingerprintError: the run directory was begun with other inputs.
        """
        file = self.path / "inputs.json"
        if not file.exists():
            write_json(file, inputs)
            return
        known = read_model(file, _Inputs, what="the record of a run's inputs", way_out="choose another --out").root
        differing = [name for name, value in inputs.items() if known.get(name) != value]
        if differing:
            raise FingerprintError(
                f"{self.path} was begun with another {' and '.join(differing)}; choose another --out"
            )

    def spot(self, name: str) -> Path:
        """File of a spot or of a drawn control."""
        return self.path / "spots" / f"{name}.safetensors"

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell's results are saved."""
        return self._folder(cell).is_dir()

    def unfinished(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells whose results aren't saved yet, in their order."""
        return [cell for cell in cells if not self.is_done(cell)]

    def save_cell(self, cell: Cell, results: Results) -> None:
        """Save a finished cell; it appears whole or not at all."""
        with atomic_path(self._folder(cell)) as temporary:
            temporary.mkdir()
            results.write(temporary)

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
        """Write ``plan.json``."""
        write_json(self.path / "plan.json", plan.model_dump(mode="json"))

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
