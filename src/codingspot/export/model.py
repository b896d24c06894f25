"""The edited checkpoint: the files of the original, with the spot's numbers changed in them, and what undoes it.

The spot must have been found in these weights, whatever type they were loaded as.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from safetensors.torch import save_file
from torch import Tensor

from codingspot.ablation import EDITS, Site
from codingspot.errors import NonFiniteError, StudyError
from codingspot.export.card import edited_card
from codingspot.export.checkpoint import Checkpoint, copy_beside, open_checkpoint
from codingspot.export.evidence import find_evidence
from codingspot.export.export import FOLDER, Exported, Given
from codingspot.export.hub import push
from codingspot.export.kinds import ModelExport
from codingspot.export.rewriting import copy_weights, rewrite
from codingspot.files import write_json
from codingspot.models import input_places
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder, new_folder
from codingspot.provenance import library_versions
from codingspot.report.labels import plural
from codingspot.settings_text import read_settings
from codingspot.spot import Spot

CARD, PROVENANCE, UNDO = "README.md", "provenance.json", "undo.safetensors"
UNDO_FORMAT = "codingspot-undo"


@dataclass(frozen=True)
class _Edit:
    """An edit with its parameters, all of them."""

    name: str
    parameters: Mapping[str, Any]

    @classmethod
    def asked(cls, settings: ModelExport) -> _Edit:
        """That of the settings, checked."""
        edit = cls(settings.edit, EDITS.check(settings.edit, read_settings(settings.set)))
        if edit.of_the_rest and settings.undo:
            raise StudyError(
                f"{edit.name} edits all but the spot, so that undoing it takes the whole original; give --no-undo"
            )
        return edit

    @property
    def of_the_rest(self) -> bool:
        """Whether it edits everything but the spot."""
        return EDITS.traits(self.name, self.parameters).of_the_rest

    def touched(self, spot: Spot) -> Collection[str]:
        """The parameters in which it edits something."""
        return spot.layout.names if self.of_the_rest else spot.grouped()

    def __call__(self, spot: Spot, offsets: Mapping[str, Int64[Tensor, " n"]], name: str, tensor: Tensor) -> Tensor:
        """A parameter, edited; ``offsets`` are the spot's in each."""
        whole = tensor.flatten()
        where = offsets.get(name, torch.empty(0, dtype=torch.int64))
        where = _outside(where, len(whole)) if self.of_the_rest else where
        site = Site(name, where + spot.layout.slice(name).start, lambda: whole)
        new = whole.clone()
        made = EDITS.bind(self.name, self.parameters)(whole[where], site).to(whole.dtype)
        if not bool(made.isfinite().all()):
            dtype = str(whole.dtype).removeprefix("torch.")
            raise NonFiniteError(
                f"edit {self.name!r} makes numbers of {name} that {dtype} doesn't hold; correct its parameters"
            )
        new[where] = made
        return new.view(tensor.shape)


def write(given: Given, settings: ModelExport, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.spot is not None and given.model is not None  # noqa: PT018 - its traits say that it reads them
    check_folder(directory, inputs=input_places(given.model.id, given.spot, settings.run), force=force)
    _Edit.asked(settings)
    return export_model(Spot.load(given.spot), given.model, directory, settings, force=force)


def export_model(
    spot: Spot,
    model: ModelSection | str | Path,
    directory: str | Path,
    settings: ModelExport | None = None,
    *,
    force: bool = False,
) -> Exported:
    """Write the checkpoint of a model with a spot edited, and what undoes it; see :class:`ModelExport`.

    ``model`` is a Hub id, a folder, a GGUF file (which is saved dequantised to float32) or a shipped model.

    Raises:
        FingerprintError: the spot was found in other weights.
        ModelError: the model is not found, or has other parameters.
        StudyError: the edit or one of its parameters is unknown, or an edit of the rest is to be undone.
        SelectionError: the spot is empty, or was found at a smaller k.
        NonFiniteError: the edit makes numbers that the weights' type doesn't hold.
        OutputError: something is there already, or it can't be uploaded.
    """
    settings = settings or ModelExport()
    edit, chosen = _Edit.asked(settings), settings.chosen(spot)
    evidence = None if settings.run is None else find_evidence(Path(settings.run), spot)
    name = model.id if isinstance(model, ModelSection) else str(model)
    target = Path(directory)
    with new_folder(target, FOLDER, inputs=input_places(name, settings.run), force=force) as folder:
        with open_checkpoint(model) as checkpoint:
            checkpoint.check_spot(chosen)
            digests = copy_weights(checkpoint, folder)
            changed, undo = rewrite(
                checkpoint, folder, edit.touched(chosen), partial(edit, chosen, chosen.grouped()), undone=settings.undo
            )
            copy_beside(checkpoint.folder, folder)
            record = {
                **made_of(checkpoint, chosen),
                "weights": digests,
                "edit": {"name": edit.name, **edit.parameters},
                "changed": changed,
                "evidence": None if evidence is None else evidence.record,
            }
        if settings.undo:
            save_file(undo, folder / UNDO, metadata={"format": UNDO_FORMAT})
        write_json(folder / PROVENANCE, record)
        (folder / CARD).write_text(edited_card(record, evidence, undone=settings.undo), encoding="utf-8")
    lines = [f"{plural(len(chosen), 'parameter')} edited ({edit.name}), {plural(changed, 'number')} changed: {target}"]
    if settings.push is not None:
        lines.append(f"uploaded: {push(target, settings.push, private=settings.private)}")
    return Exported(tuple(lines), {"directory": str(target), **record})


def made_of(checkpoint: Checkpoint, spot: Spot) -> dict[str, Any]:
    """What an export of a spot of a checkpoint is made from, as plain data."""
    found = checkpoint.found
    return {
        "model": {"id": found.id, "revision": checkpoint.commit, "fingerprint": spot.fingerprint},
        "spot": dict(spot.metadata),
        "parameters": {"selected": len(spot), "all": checkpoint.layout.total},
        "versions": library_versions(),
    }


def _outside(inside: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " rest"]:
    outside = torch.ones(size, dtype=torch.bool)
    outside[inside] = False
    return outside.nonzero().squeeze(1)
