"""The folder of an exported checkpoint: what stands beside the weights of every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codingspot.export.checkpoint import Checkpoint, copy_beside, open_checkpoint
from codingspot.export.export import FOLDER, Exported
from codingspot.export.kinds import Pushed
from codingspot.files import write_json
from codingspot.models import input_places
from codingspot.models.hub import push
from codingspot.models.section import ModelSection
from codingspot.outputs import Place, new_folder
from codingspot.provenance import library_versions
from codingspot.spot import Spot

CARD, PROVENANCE = "README.md", "provenance.json"


@dataclass(frozen=True)
class Made:
    """What is said of a checkpoint's new weights: to people, to programs, and on the model card."""

    lines: tuple[str, ...]
    record: Mapping[str, Any]
    card: str


def write_checkpoint(
    model: ModelSection | str | Path,
    directory: str | Path,
    make: Callable[[Checkpoint, Path], Made],
    settings: Pushed,
    *,
    inputs: Iterable[Place] = (),
    force: bool = False,
) -> Exported:
    """Write a folder with the weights that ``make`` writes into it of a checkpoint, and all that belongs to them.

    What of that ``make`` writes itself stays; ``inputs`` are read beside the model.

    Raises:
        ModelError: the model is not found.
        OutputError: something is there already, or it can't be uploaded.
    """
    name = model.id if isinstance(model, ModelSection) else str(model)
    target = Path(directory)
    with new_folder(target, FOLDER, inputs=input_places(name, *inputs), force=force) as folder:
        with open_checkpoint(model) as checkpoint:
            made = make(checkpoint, folder)
            copy_beside(checkpoint.folder, folder)
        write_json(folder / PROVENANCE, made.record)
        (folder / CARD).write_text(made.card, encoding="utf-8")
    lines = [*made.lines, f"written: {target}"]
    if settings.push is not None:
        lines.append(f"uploaded: {push(target, settings.push, private=settings.private)}")
    return Exported(tuple(lines), {"directory": str(target), **made.record})


def made_of(checkpoint: Checkpoint, spot: Spot) -> dict[str, Any]:
    """What an export of a spot of a checkpoint is made from, as plain data."""
    found = checkpoint.found
    return {
        "model": {"id": found.id, "revision": checkpoint.commit, "fingerprint": spot.fingerprint},
        "spot": dict(spot.metadata),
        "parameters": {"selected": len(spot), "all": checkpoint.layout.total},
        "versions": library_versions(),
    }
