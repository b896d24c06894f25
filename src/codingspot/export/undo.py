"""The original of an edited checkpoint, restored bit for bit from what was written beside it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field
from safetensors import SafetensorError, safe_open

from codingspot.errors import ArtefactError
from codingspot.export.checkpoint import BESIDE, FILES, INDEX, copy_beside, downloaded, require_whole
from codingspot.export.export import FOLDER, Exported, Given
from codingspot.export.kinds import Undo
from codingspot.export.model import UNDO, UNDO_FORMAT
from codingspot.export.rewriting import POSITIONS, VALUES
from codingspot.export.writing import PROVENANCE
from codingspot.files import reason
from codingspot.models import input_places
from codingspot.models.finding import find_model
from codingspot.models.section import ModelSection
from codingspot.models.shipped import model_source
from codingspot.outputs import new_folder
from codingspot.records import FileName, Record, read_model
from codingspot.report.labels import plural
from codingspot.tensor_files import change, places

_AGAIN = "export the model again"


class _Provenance(Record):
    """What is read of it: the SHA-256 of every file of the original's weights."""

    weights: Annotated[dict[FileName, str], Field(min_length=1)]


def write(given: Given, settings: Undo, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.model is not None
    del settings
    return undo_export(given.model, directory, force=force)


def undo_export(model: ModelSection | str | Path, directory: str | Path, *, force: bool = False) -> Exported:
    """Write the original of a checkpoint that ``codingspot export model`` edited, a folder or a repository on the Hub.

    Raises:
        ArtefactError: it has nothing that undoes it, or that doesn't give back the original.
        ModelError: the model is not found, or a file of its weights is missing or damaged.
        OutputError: something is there already.
    """
    section = model if isinstance(model, ModelSection) else ModelSection(id=str(model))
    target = Path(directory)
    with new_folder(target, FOLDER, inputs=input_places(section.id), force=force) as folder:
        source = Path(model_source(section.id))
        if not source.exists():
            found = find_model(section.id, revision=section.revision, trust_remote_code=section.trust_remote_code)
            source = downloaded(found, (FILES, INDEX, UNDO, PROVENANCE, *BESIDE))
        if not (source / UNDO).is_file():
            raise ArtefactError(f"{section.id} has no {UNDO}; give a folder that 'codingspot export model' wrote")
        digests = read_model(source / PROVENANCE, _Provenance, what="an export's", way_out=_AGAIN).weights
        require_whole(source, digests)
        for file in digests:
            shutil.copyfile(source / file, folder / file)
        if (source / INDEX).is_file():
            shutil.copyfile(source / INDEX, folder / INDEX)
        copy_beside(source, folder)
        restored = _restore(source / UNDO, folder, list(digests))
        for file, expected in digests.items():
            with (folder / file).open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != expected:
                    raise ArtefactError(f"{source / file} was changed since it was exported; {_AGAIN}")
    line = f"{restored:,} numbers restored, {plural(len(digests), 'file')} as before the edit: {target}"
    return Exported((line,), {"directory": str(target), "restored": restored, "weights": digests})


def _restore(undo: Path, folder: Path, files: list[str]) -> int:
    """Put the original numbers back into files of weights; how many."""
    try:
        at = {name: (folder / file, place) for file in files for name, place in places(folder / file).items()}
        with safe_open(undo, framework="pt") as saved:
            if (saved.metadata() or {}).get("format") != UNDO_FORMAT:
                raise ArtefactError(f"{undo} does not undo an export; {_AGAIN}")
            names = [name.removeprefix(POSITIONS) for name in saved.keys() if name.startswith(POSITIONS)]  # noqa: SIM118
            restored = 0
            for name in names:
                offsets = saved.get_tensor(f"{POSITIONS}{name}").long()
                file, place = at[name]
                change(file, place, offsets, saved.get_tensor(f"{VALUES}{name}"))
                restored += len(offsets)
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise ArtefactError(f"{undo} does not fit the files beside it ({reason(error)}); {_AGAIN}") from None
    return restored
