"""The edited checkpoint: the files of the original, with the spot's numbers changed in them.

1. The spot must have been found in these weights, whatever type they were loaded as.
2. Every file of weights is copied; its digest is kept.
3. Of each tensor that the spot touches, the parameter is read, edited, turned back into what the files hold, and the
   numbers that differ are written into the copy. They and their places are what undoes the edit.

So no more than one parameter is in memory, and what isn't edited stays as it is, to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from safetensors.torch import save_file
from torch import Tensor

from codingspot.ablation import EDITS, Site
from codingspot.errors import StudyError
from codingspot.export.card import edited_card
from codingspot.export.checkpoint import INDEX, WEIGHTS, Checkpoint, copy_beside, open_checkpoint
from codingspot.export.evidence import find_evidence
from codingspot.export.export import FOLDER, Exported, Given
from codingspot.export.hub import push
from codingspot.export.kinds import ModelExport
from codingspot.export.tensors import bits, change
from codingspot.files import write_json
from codingspot.models import input_places
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder, new_folder
from codingspot.provenance import library_versions
from codingspot.settings_text import read_settings
from codingspot.spot import Spot

CARD, PROVENANCE, UNDO = "README.md", "provenance.json", "undo.safetensors"
UNDO_FORMAT = "codingspot-undo"
POSITIONS, VALUES = "positions.", "values."
"""What the names of an undo file's tensors begin with: places in a flattened tensor of the checkpoint, and what was
there."""
_COPIED = 1 << 24


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

    def __call__(self, tensor: Tensor, name: str, offsets: Int64[Tensor, " n"], start: int) -> Tensor:
        """The tensor, edited; ``offsets`` are the spot's, ``start`` is the position of its first number."""
        whole = tensor.flatten()
        where = _outside(offsets, len(whole)) if self.of_the_rest else offsets
        new = whole.clone()
        edited = EDITS.bind(self.name, self.parameters)(whole[where], Site(name, where + start, lambda: whole))
        new[where] = edited.to(whole.dtype)
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
            digests = _copy(checkpoint, folder)
            changed, undo = _edit(checkpoint, chosen, edit, folder, undone=settings.undo)
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
    lines = [f"{len(chosen):,} parameters edited ({edit.name}), {changed:,} numbers changed: {target}"]
    if settings.push is not None:
        lines.append(f"uploaded: {push(target, settings.push, private=settings.private)}")
    return Exported(tuple(lines), {"directory": str(target), **record})


def made_of(checkpoint: Checkpoint, spot: Spot) -> dict[str, Any]:
    """What an export of a spot of a checkpoint is made from, as plain data."""
    found = checkpoint.found
    return {
        "model": {"id": found.id, "revision": found.commit, "fingerprint": spot.fingerprint},
        "spot": dict(spot.metadata),
        "parameters": {"selected": len(spot), "all": checkpoint.layout.total},
        "versions": library_versions(),
    }


def _copy(checkpoint: Checkpoint, folder: Path) -> dict[str, str]:
    """Copy the files of weights; the SHA-256 of each."""
    digests = {}
    for file in checkpoint.files:
        sha = hashlib.sha256()
        with (checkpoint.folder / file).open("rb") as source, (folder / file).open("wb") as copy:
            while block := source.read(_COPIED):
                sha.update(block)
                copy.write(block)
        digests[file] = sha.hexdigest()
    if checkpoint.files != (WEIGHTS,):
        (folder / INDEX).write_bytes((checkpoint.folder / INDEX).read_bytes())
    return digests


def _edit(
    checkpoint: Checkpoint, spot: Spot, edit: _Edit, folder: Path, *, undone: bool
) -> tuple[int, dict[str, Tensor]]:
    """Edit the copied files: how many numbers changed and, where it is to be undone, where and what they were."""
    offsets = spot.grouped()
    touched = set(checkpoint.layout.names if edit.of_the_rest else offsets)
    none = torch.empty(0, dtype=torch.int64)
    undo: dict[str, Tensor] = {}
    count = 0
    for group in {id(group): group for name in sorted(touched) for group in checkpoint.homes[name]}.values():
        parameters = checkpoint.parameters(group)
        for name in touched.intersection(parameters):
            start = checkpoint.layout.slice(name).start
            parameters[name] = edit(parameters[name], name, offsets.get(name, none), start)
        for source, new in checkpoint.sources(group, parameters).items():
            old = checkpoint.read(source)
            changed = (bits(old) != bits(new)).nonzero().squeeze(1)
            file, place = checkpoint.places[source]
            change(folder / file, place, changed, new.flatten()[changed])
            count += len(changed)
            if undone and len(changed):
                undo[f"{POSITIONS}{source}"] = changed.int() if old.numel() < 2**31 else changed
                undo[f"{VALUES}{source}"] = old.flatten()[changed]
    return count, undo


def _outside(inside: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " rest"]:
    outside = torch.ones(size, dtype=torch.bool)
    outside[inside] = False
    return outside.nonzero().squeeze(1)
