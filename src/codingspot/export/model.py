"""The edited checkpoint: the files of the original, with the spot's numbers changed in them, and what undoes it.

The spot must have been found in these weights, whatever type they were loaded as.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from codingspot.export.checkpoint import Checkpoint
from codingspot.export.evidence import find_evidence
from codingspot.export.export import Exported, Given
from codingspot.export.kinds import ModelExport
from codingspot.export.rewriting import copy_weights, rewrite
from codingspot.export.writing import Made, made_of, write_checkpoint
from codingspot.models import input_places
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder
from codingspot.report.labels import plural
from codingspot.settings_text import read_settings
from codingspot.spot import Spot

UNDO, UNDO_FORMAT = "undo.safetensors", "codingspot-undo"


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

    def make(checkpoint: Checkpoint, folder: Path) -> Made:
        checkpoint.check_spot(chosen)
        digests = copy_weights(checkpoint, folder)
        offsets = chosen.grouped()
        names = chosen.layout.names if edit.of_the_rest else offsets
        changed, undo = rewrite(checkpoint, folder, names, partial(edit, chosen, offsets), undone=settings.undo)
        if settings.undo:
            save_file(undo, folder / UNDO, metadata={"format": UNDO_FORMAT})
        record = {
            **made_of(checkpoint, chosen),
            "weights": digests,
            "edit": {"name": edit.name, **edit.parameters},
            "changed": changed,
            "evidence": None if evidence is None else evidence.record,
        }
        line = f"{plural(len(chosen), 'parameter')} edited ({edit.name}), {plural(changed, 'number')} changed"
        return Made((line,), record, edited_card(record, evidence, undone=settings.undo))

    return write_checkpoint(model, directory, make, settings, inputs=[settings.run], force=force)


def _outside(inside: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " rest"]:
    outside = torch.ones(size, dtype=torch.bool)
    outside[inside] = False
    return outside.nonzero().squeeze(1)
