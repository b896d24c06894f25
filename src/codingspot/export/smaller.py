"""A smaller checkpoint: the neurons or key-value groups of a spot cut out, so that it computes what zeroing them does.

transformers wants one width of the MLP, and one number of groups, for all layers. So the width is that of the layer
which keeps the most units, and a layer that would keep fewer keeps units of the spot with their weights at zero: they
add nothing.

Of each matrix the rows (of gate and up; of q, k and v) or columns (of down; of o) of the units that go are left out;
all other tensors are the original's. One of them is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from safetensors import safe_open
from torch import Tensor

from codingspot.errors import ArtefactError, SelectionError
from codingspot.export.card import reduced_card
from codingspot.export.checkpoint import INDEX, WEIGHTS, Checkpoint
from codingspot.export.export import Exported, Given
from codingspot.export.kinds import SmallerExport
from codingspot.export.writing import Made, made_of, write_checkpoint
from codingspot.files import read_json, write_json
from codingspot.models import ParameterLayout, UnitKind, Units, find_units, input_places
from codingspot.models.finding import build
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder
from codingspot.spot import Spot
from codingspot.tensor_files import Form, places, write_tensors

_WIDTHS = ("intermediate_size", "n_inner", "ffn_hidden_size")
"""What configurations call the width of the MLP."""

_CALLED = {"neuron": "neurons", "group": "key-value groups"}
"""The units that can be cut out."""


@dataclass(frozen=True)
class _Cut:
    """What becomes of one parameter: ``kept`` are indices along ``axis``; of those, at ``zeroed`` the weights are 0."""

    axis: int
    kept: Tensor
    zeroed: Tensor

    def form(self, whole: Form) -> Form:
        """Of what is left of a tensor of a form."""
        width, left = whole.shape[self.axis], len(self.kept)
        shape = tuple(left if axis == self.axis else size for axis, size in enumerate(whole.shape))
        return Form(whole.dtype, shape, whole.size // width * left)

    def __call__(self, tensor: Tensor) -> Tensor:
        return tensor.index_fill(self.axis, self.zeroed, 0).index_select(self.axis, self.kept).contiguous()


def write(given: Given, settings: SmallerExport, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.spot is not None and given.model is not None  # noqa: PT018 - its traits say that it reads them
    check_folder(directory, inputs=input_places(given.model.id, given.spot), force=force)
    return export_smaller(Spot.load(given.spot), given.model, directory, settings, force=force)


def export_smaller(
    spot: Spot,
    model: ModelSection | str | Path,
    directory: str | Path,
    settings: SmallerExport | None = None,
    *,
    force: bool = False,
) -> Exported:
    """Write the checkpoint of a model without the neurons of a spot; see :class:`SmallerExport`.

    Raises:
        SelectionError: the spot isn't one of whole neurons of dense MLPs or of key-value groups, leaves some layer
            whole, or the model's configuration has no setting for how many of them a layer has.
        ArtefactError: its weights are not those of the units that it names.
        FingerprintError: the spot was found in other weights.
        ModelError: the model is not found, or has other parameters.
        OutputError: something is there already, or it can't be uploaded.
    """
    settings = settings or SmallerExport()
    chosen = settings.chosen(spot)
    if chosen.units is None or chosen.units.kind not in _CALLED:
        raise SelectionError(
            "only whole neurons and key-value groups can be cut out; find them with 'codingspot units --unit neuron' "
            "or '--unit group', or write the edited model with 'codingspot export model'"
        )
    kind, numbers = chosen.units.kind, chosen.units.numbers

    def make(checkpoint: Checkpoint, folder: Path) -> Made:
        checkpoint.check_spot(chosen)
        units = find_units(checkpoint.model, kind)
        removed = _removed(units, chosen, numbers)
        width = _width(units, removed, settings.multiple_of)
        smaller = _resized(checkpoint, units, width)
        _write_weights(checkpoint, _cuts(units, removed, width), folder)
        smaller.config.save_pretrained(folder)
        cut, before = len(units) - width * len(units.sites), checkpoint.layout.total
        record = {
            **made_of(checkpoint, chosen),
            "width": {"before": units.sites[0].width, "after": width},
            f"{kind}s": {"removed": int(removed.sum()), "cut": cut, "zeroed": int(removed.sum()) - cut},
            "size": {
                "parameters": [before, ParameterLayout.of(smaller).total],
                "bytes": [_bytes(checkpoint.folder, checkpoint.files), _bytes(folder, checkpoint.files)],
            },
        }
        lines = _said(record, kind)
        return Made(lines, record, reduced_card(record, "cut", lines))

    return write_checkpoint(model, directory, make, settings, force=force)


def _said(record: Mapping[str, Any], kind: UnitKind) -> tuple[str, ...]:
    width, units, size = record["width"], record[f"{kind}s"], record["size"]
    zeroed = (
        f" {units['zeroed']:,} more of the spot stay with their weights at zero, since all layers have one width."
        if units["zeroed"]
        else ""
    )
    return (
        f"{units['cut']:,} {_CALLED[kind]} cut out, {width['before'] - width['after']:,} of {width['before']:,} in "
        f"every layer.{zeroed}",
        *(
            f"{what}: {before:,} before, {after:,} after ({after / before:.1%})."
            for what, (before, after) in size.items()
        ),
    )


def _removed(units: Units, spot: Spot, numbers: Int64[Tensor, " n"]) -> Bool[Tensor, " units"]:
    """Whether each unit is one of the spot's, which has these numbers.

    Raises:
        ArtefactError: they are not the units that its weights are those of.
    """
    # numpy's, since torch would sort as many indices beside them
    if int(numbers.max()) >= len(units) or not np.array_equal(
        np.sort(units.positions(numbers).numpy()), np.sort(spot.positions.numpy())
    ):
        raise ArtefactError(
            f"the spot's weights are not those of the {_CALLED[units.kind]} that it names; find it again with "
            "'codingspot units'"
        )
    removed = torch.zeros(len(units), dtype=torch.bool)
    removed[numbers] = True
    return removed


def _width(units: Units, removed: Bool[Tensor, " units"], multiple_of: int) -> int:
    """Units that every layer keeps.

    Raises:
        SelectionError: experts are fused, layers differ in width, or the width stays what it is.
    """
    before = units.sites[0].width
    fused = next((site for site in units.sites if site.experts > 1), None)
    if fused is not None:
        raise SelectionError(
            f"the neurons of layer {fused.layer} are those of fused experts, whose width can't be cut; write the "
            "edited model with 'codingspot export model'"
        )
    if any(site.width != before for site in units.sites):
        raise SelectionError(
            f"the model's layers have different numbers of {_CALLED[units.kind]}, where a configuration has one; write "
            "the edited model with 'codingspot export model'"
        )
    kept = [before - int(removed[units.slice(index)].sum()) for index in range(len(units.sites))]
    width = min(before, ceil(max(max(kept), 1) / multiple_of) * multiple_of)
    if width == before:
        if multiple_of >= before:
            raise SelectionError(f"no width below {before:,} is a multiple of {multiple_of:,}; lower --multiple-of")
        most = units.sites[kept.index(max(kept))].layer
        goal = (before - 1) // multiple_of * multiple_of
        raise SelectionError(
            f"layer {most} keeps {max(kept):,} of its {before:,} {_CALLED[units.kind]}, so no smaller width holds for "
            f"all layers; a uniform cut to {goal:,} takes at least {before - goal:,} of the spot in every layer: "
            "raise k"
        )
    return width


def _cuts(units: Units, removed: Bool[Tensor, " units"], width: int) -> dict[str, _Cut]:
    """For every parameter that units have weights of, what is kept of it."""
    cuts: dict[str, _Cut] = {}
    for index, site in enumerate(units.sites):
        gone = removed[units.slice(index)]
        # The units that stay, and as many others of the spot, the last of it first, as the width asks for.
        padding = gone.nonzero().squeeze(1)[: width - int((~gone).sum())]
        stays = ~gone
        stays[padding] = True
        for slab in site.slabs:
            found = cuts.get(slab.name)
            kept, zeroed = slab.indices[stays].flatten(), slab.indices[padding].flatten()
            if found is not None:  # several parts of one matrix: gate and up, or the heads of a group
                kept, zeroed = torch.cat([found.kept, kept]).sort().values, torch.cat([found.zeroed, zeroed])
            cuts[slab.name] = _Cut(slab.axis, kept, zeroed)
    return cuts


def _write_weights(checkpoint: Checkpoint, cuts: Mapping[str, _Cut], folder: Path) -> None:
    """Write the files of weights, cut, under the names that they have."""
    of = {source: cuts[name] for name in cuts for group in checkpoint.homes[name] for source in group.sources}
    total = 0
    for file in checkpoint.files:
        placed = sorted(places(checkpoint.folder / file).items(), key=lambda item: item[1].start)
        forms: dict[str, Form] = {name: of[name].form(place) if name in of else place for name, place in placed}
        tensors = (of[name](checkpoint.read(name)) if name in of else checkpoint.read(name) for name in forms)
        with safe_open(checkpoint.folder / file, framework="pt") as opened:
            write_tensors(folder / file, forms, tensors, opened.metadata())
        total += sum(form.size for form in forms.values())
    if checkpoint.files != (WEIGHTS,):
        write_json(folder / INDEX, {**read_json(checkpoint.folder / INDEX), "metadata": {"total_size": total}})


def _resized(checkpoint: Checkpoint, units: Units, width: int) -> Any:
    """The model of the configuration with another width, without weights.

    Raises:
        SelectionError: no setting of the configuration is the width, or it is one for other matrices too.
    """
    expected = {
        name: tuple(width * size // units.sites[0].width if axis == cut else size for axis, size in enumerate(shape))
        for name, shape, cut in _shapes(checkpoint.layout, units)
    }
    for config in _narrowed(checkpoint.found.config, units, width):
        made = build(replace(checkpoint.found, config=config), dtype="auto")
        layout = ParameterLayout.of(made)
        if all(layout.shape(name) == shape for name, shape in expected.items()):
            return made
    raise SelectionError(
        f"the configuration of {checkpoint.found.id} has no setting for the number of {_CALLED[units.kind]} alone; "
        "write the edited model with 'codingspot export model'"
    )


def _narrowed(config: Any, units: Units, width: int) -> Iterator[Any]:
    """Configurations by which layers may have so many units, by what the setting may be called."""
    text = config.get_text_config()
    if units.kind == "group":
        heads = getattr(text, "num_attention_heads", None)
        # What a head has is no longer the hidden size over the heads.
        size = getattr(text, "head_dim", None) or (heads and text.hidden_size // heads)
        left = heads and heads * width // units.sites[0].width
        ways = [{"num_key_value_heads": width, "num_attention_heads": left, "head_dim": size}]
    else:
        ways = [{name: width} for name in _WIDTHS]
    for settings in ways:
        made = deepcopy(config)
        if all(hasattr(text, name) for name in settings if name != "head_dim"):
            for name, value in settings.items():
                setattr(made.get_text_config(), name, value)
            yield made


def _shapes(layout: ParameterLayout, units: Units) -> list[tuple[str, tuple[int, ...], int | None]]:
    """Every parameter with its shape and the axis that is cut, None where none is."""
    axes = {slab.name: slab.axis for site in units.sites for slab in site.slabs}
    return [(name, layout.shape(name), axes.get(name)) for name in layout.names]


def _bytes(folder: Path, files: tuple[str, ...]) -> int:
    return sum((folder / file).stat().st_size for file in files)
