"""A spot as tables: its parameters by tensor and head, and by whole units."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import torch

from codingspot.errors import ModelError, SelectionError
from codingspot.models import LoadedModel, ParameterLayout, UnitKind, describe, find_units, role_of
from codingspot.spot.density import density
from codingspot.spot.spot import Spot

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel


def spot_frame(spot: Spot, model: PreTrainedModel | LoadedModel | None = None) -> pd.DataFrame:
    """One row a tensor that the spot touches and, where the model is given, a head of it.

    Columns: ``tensor``, ``layer`` (missing outside the layers), ``kind`` (of a fused tensor that of its part), ``head``
    (missing where no head divides the tensor, or no model is given), ``count`` and ``share`` (of the spot).

    Raises:
        ModelError: the model has other parameters than that of the spot.
    """
    structures = {} if model is None else describe(_checked(spot, model))
    rows = []
    for name, offsets in spot.grouped().items():
        role, structure = role_of(name), structures.get(name)
        whole = {"tensor": name, "layer": role.layer, "kind": role.kind, "head": None, "count": len(offsets)}
        if structure is None or not structure.parts or structure.parts_axis is None:
            rows.append(whole)
            continue
        below = torch.Size(structure.shape[structure.parts_axis + 1 :]).numel()
        along = offsets // below % structure.shape[structure.parts_axis]
        for part in structure.parts:
            count = int(((along >= part.start) & (along < part.stop)).sum())
            if count:
                rows.append({**whole, "kind": part.kind, "head": part.head, "count": count})
    frame = pd.DataFrame(rows, columns=["tensor", "layer", "kind", "head", "count"])
    frame = frame.astype({"layer": "Int64", "head": "Int64", "count": "int64"})
    return frame.assign(share=frame["count"] / max(len(spot), 1))


def unit_frame(spot: Spot, model: PreTrainedModel | LoadedModel, kind: UnitKind | None = None) -> pd.DataFrame:
    """One row a unit of the model that the spot touches, the one that it has most of first.

    ``kind`` is by default that of the spot's own units. Columns: ``unit`` (its number among the model's units of the
    kind), ``layer``, ``expert``, ``index`` (in its MLP or attention), ``weights``, ``count`` and ``share``
    (count / weights).

    Raises:
        ModelError: the model has other parameters than that of the spot, or no such units.
        SelectionError: the spot isn't one of units, and no kind is named.
    """
    if kind is None and spot.units is None:
        raise SelectionError("the spot isn't one of whole units; name a kind: neuron, head, group or layer")
    units = find_units(_checked(spot, model), kind or spot.units.kind)  # type: ignore[union-attr]
    selected = spot.grouped()

    def chosen(name: str) -> torch.Tensor:
        values = torch.zeros(spot.layout.sizes[name])
        if name in selected:
            values[selected[name]] = 1
        return values.view(spot.layout.shape(name))

    counts = units.sums(chosen).long()
    touched = counts.nonzero().squeeze(1)
    columns = {
        "unit": touched,
        "layer": units.layers[touched],
        "expert": units.experts[touched],
        "index": units.indices[touched],
        "weights": units.sizes[touched],
        "count": counts[touched],
    }
    frame = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
    frame["share"] = frame["count"] / frame["weights"]
    return frame.sort_values(["share", "count"], ascending=False, kind="stable").reset_index(drop=True)


def spot_html(spot: Spot) -> str:
    """The spot for a notebook: what it is, and a table of its parameters by block and kind."""
    columns = ["parameters", "selected"]
    table = density(spot).groupby(["block", "kind"], sort=False)[columns].sum().reset_index()
    table = table[table["selected"] > 0]
    cells = {
        "where": table["block"] + " " + table["kind"],
        "selected": table["selected"].map("{:,}".format),
        "share of spot": (table["selected"] / max(len(spot), 1)).map("{:.1%}".format),
        "density": (table["selected"] / table["parameters"]).map("{:.3%}".format),
    }
    shown: str = pd.DataFrame(cells).to_html(index=False, border=0)
    return f"<p>{escape(repr(spot))}</p>{shown}"


def _checked(spot: Spot, model: PreTrainedModel | LoadedModel) -> PreTrainedModel:
    found = model.model if isinstance(model, LoadedModel) else model
    if ParameterLayout.of(found) != spot.layout:
        raise ModelError("the spot is of a model with other parameters; give the one it was found in")
    return found
