"""The view of neurons: its tables, and what makes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from codingspot.records import Record
from codingspot.tables import TableSchema, figure, number, share, text, texts, truth, whole
from codingspot.views import Found, View
from codingspot.views.neurons import NeuronSettings
from codingspot.views.neurons.analysis import check_neurons, prepare_neurons
from codingspot.views.neurons.console import show_neurons
from codingspot.views.neurons.report import neurons_section
from codingspot.views.neurons.summary import told

_SILENCED = (*texts("ablated", "control"), whole("seed", -1), whole("neurons"))

SCHEMAS: Final[Mapping[str, TableSchema]] = {
    stem: TableSchema(columns, way_out="delete it and run the analysis again")
    for stem, columns in {
        "neurons": (
            *texts("selection", "domain"),
            *map(whole, ("rank", "layer", "expert", "neuron")),
            *map(share, ("rate", "elsewhere")),
            figure("entropy", 0),
            truth("exclusive"),
        ),
        "neurons_layers": (
            *texts("selection", "domain"),
            *map(whole, ("layer", "specific", "exclusive", "neurons")),
        ),
        "neurons_sharing": (
            *texts("selection", "first", "second"),
            whole("layer", -1),
            whole("shared"),
            *map(share, ("specific", "active")),
        ),
        "neurons_sweep": (
            *texts("selection", "varied"),
            number("quantile", 0, 1),
            text("domain"),
            *map(whole, ("tokens", "selected")),
            share("jaccard"),
        ),
        "neurons_ablation": (
            text("selection"),
            *_SILENCED,
            text("evaluated"),
            whole("tokens"),
            number("loss"),
            figure("ratio", 0),
        ),
        "neurons_tasks": (*_SILENCED, text("task"), whole("items", 1), number("rate", 0, 1), number("original", 0, 1)),
    }.items()
}


class NeuronInputs(Record):
    """What an analysis that is compared with others records of what it was made from."""

    model: str
    revision: str | None
    weights: str
    bos: str = "tokenizer"
    corpus: str
    corpus_fingerprint: str
    held_out_fingerprint: str
    settings: NeuronSettings


def _profiles(found: Found) -> Mapping[str, pd.Series[float]]:
    """Specific neurons of all domains over the layer's neurons, of the selection that was silenced."""
    layers = found["neurons_layers"]
    chosen = layers[layers["selection"] == found.inputs["settings"]["selection"]]
    sums = chosen.groupby("layer").agg(specific=("specific", "sum"), all=("neurons", "sum"))
    return {"neurons": sums["specific"] / sums["all"]}


NEURONS: Final = View(
    schemas=SCHEMAS,
    prepare=prepare_neurons,
    section=neurons_section,
    check=check_neurons,
    told=told,
    show=show_neurons,
    inputs=NeuronInputs,
    profiles=_profiles,
)
