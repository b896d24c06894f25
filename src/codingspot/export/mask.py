"""A spot as boolean masks, a tensor each, in a safetensors file: what pruning and masked training take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.export.export import Exported, Given
from codingspot.export.kinds import MaskExport
from codingspot.models import SCOPES, role_of
from codingspot.outputs import check_file, new_file
from codingspot.report.labels import plural
from codingspot.spot import Spot
from codingspot.tensor_files import Form, is_of, write_tensors

FORMAT = "codingspot-mask"


def write(given: Given, settings: MaskExport, file: Path, force: bool) -> Exported:
    """The command."""
    assert given.spot is not None
    check_file(file, is_mask, inputs=[given.spot], force=force)
    return export_mask(Spot.load(given.spot), file, settings, force=force)


def is_mask(path: Path) -> bool:
    """Whether the file was written by :func:`export_mask`."""
    return is_of(path, FORMAT)


def export_mask(spot: Spot, file: str | Path, settings: MaskExport | None = None, *, force: bool = False) -> Exported:
    """Write masks of the tensors that a spot touches, True where a weight is kept; see :class:`MaskExport`.

    Raises:
        SelectionError: the spot has no weights in the scope.
        StudyError: the scope is unknown.
        OutputError: something else is there, or a mask and not ``force``.
    """
    settings = settings or MaskExport()
    inside = SCOPES[settings.scope]
    chosen = settings.chosen(spot)
    offsets = {name: found for name, found in chosen.grouped().items() if inside(role_of(name))}
    if not offsets:
        raise SelectionError(f"the spot has no weights in scope {settings.scope!r}; choose another --scope")
    kept = settings.keep == "spot"

    def masks() -> Iterator[Bool[Tensor, " n"]]:
        for name, found in offsets.items():
            mask = torch.full((spot.layout.sizes[name],), not kept)
            mask[found] = kept
            yield mask

    about = {"format": FORMAT, "keep": settings.keep, "spot": json.dumps(dict(spot.metadata))}
    with new_file(Path(file), is_mask, force=force) as temporary:
        forms = {name: Form("BOOL", spot.layout.shape(name), spot.layout.sizes[name]) for name in offsets}
        write_tensors(temporary, forms, masks(), about)
    selected = sum(len(found) for found in offsets.values())
    size = sum(spot.layout.sizes[name] for name in offsets)
    kept_count = selected if kept else size - selected
    line = f"masks of {plural(len(offsets), 'tensor')}, {kept_count:,} of {size:,} weights kept: {file}"
    return Exported((line,), {"file": str(file), "keep": settings.keep, "tensors": list(offsets), "selected": selected})
