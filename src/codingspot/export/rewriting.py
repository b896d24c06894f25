"""Changing numbers of a checkpoint: its files copied, and in the copies what differs written over.

Of each parameter that is changed, all of its tensors are read, put together, changed, and divided again. So no more
than one parameter is in memory, and what isn't changed stays as it is, to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from torch import Tensor

from codingspot.export.checkpoint import INDEX, WEIGHTS, Checkpoint
from codingspot.tensor_files import bits, change

POSITIONS, VALUES = "positions.", "values."
"""What the names of an undo file's tensors begin with: places in a flattened tensor of the checkpoint, and what was
there."""
_COPIED = 1 << 24


def copy_weights(checkpoint: Checkpoint, folder: Path) -> dict[str, str]:
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


def rewrite(
    checkpoint: Checkpoint,
    folder: Path,
    names: Collection[str],
    changed: Callable[[str, Tensor], Tensor],
    *,
    undone: bool,
) -> tuple[int, dict[str, Tensor]]:
    """Write what ``changed`` makes of the parameters of these names into the copied files.

    Returns how many numbers differ and, where it is to be undone, their places in the tensors of the files and what
    they were.
    """
    wanted = set(names)
    undo: dict[str, Tensor] = {}
    count = 0
    for group in {id(group): group for name in sorted(wanted) for group in checkpoint.homes[name]}.values():
        parameters = checkpoint.parameters(group)
        for name in parameters.keys() & wanted:
            parameters[name] = changed(name, parameters[name])
        for source, new in checkpoint.sources(group, parameters).items():
            old = checkpoint.read(source)
            where = (bits(old) != bits(new)).nonzero().squeeze(1)
            file, place = checkpoint.places[source]
            change(folder / file, place, where, new.flatten()[where])
            count += len(where)
            if undone and len(where):
                undo[f"{POSITIONS}{source}"] = where.int() if old.numel() < 2**31 else where
                undo[f"{VALUES}{source}"] = old.flatten()[where]
    return count, undo
