"""The analysis of how views agree, from spots and the views that were made before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import numpy as np
import pandas as pd

from codingspot.ablation import WeightEditor
from codingspot.analysis import Pieces
from codingspot.corpus import Corpus
from codingspot.errors import SelectionError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.files import digest
from codingspot.models import LoadedModel
from codingspot.spot import Spot, density
from codingspot.views import VIEWS, Found, Say, Tables, ViewInputs, Work, saved_name, views
from codingspot.views.across import AcrossSettings
from codingspot.views.across.agreement import (
    layer_density,
    layer_profiles,
    neuron_parameters,
    pair_correlation,
    spot_in_neurons,
    without,
)
from codingspot.views.mexa.align import DISTINCT_ROWS
from codingspot.views.neurons.ablation import perplexity_ratios
from codingspot.views.neurons.sites import find_sites

_READ: Final = ("neurons", "alignment", "lens")


def prepare_across(given: ViewInputs, _settings: AcrossSettings) -> Work | None:
    """Tables of agreement: ``across_profiles``, ``across_pairs``, ``across_spots`` and ``across_ablation``."""
    if "neurons" not in given.others and not given.spots:
        return None
    inputs: dict[str, Any] = {
        "spots": {name: digest(spot.positions.numpy().tobytes()) for name, spot in given.spots.items()},
        **dict.fromkeys(_READ),
        **{name: dict(found.inputs) for name, found in given.others.items()},
    }

    def make(_pieces: Pieces, say: Say) -> Tables:
        say("comparing the views", 0.0)
        return _tables(given)

    return Work(inputs, make)


def _tables(given: ViewInputs) -> Tables:
    loaded, spots, (_, held_out) = given.loaded, given.spots, given.texts()
    neurons, alignment = given.others.get("neurons"), given.others.get("alignment")
    chosen = None if neurons is None else str(neurons.inputs["settings"]["selection"])
    tables = {"across_profiles": _profiles(given)}
    if neurons is not None and alignment is not None:
        tables["across_pairs"] = _pairs(neurons, chosen, alignment)
    if neurons is not None and spots:
        sets = _neuron_sets(loaded, neurons, chosen)
        layout = find_sites(loaded.model)
        inside = [
            spot_in_neurons(loaded.model, layout, spot.positions, sets).assign(spot_name=name)
            for name, spot in spots.items()
        ]
        tables["across_spots"] = pd.concat(inside, ignore_index=True)
        code = [sets[domain.name] for domain in held_out.code if domain.name in sets]
        union = np.unique(np.concatenate(code)) if code else np.empty(0, dtype=np.int64)
        tables["across_ablation"] = _ablation(loaded, held_out, spots, neuron_parameters(loaded.model, layout, union))
    return tables


def _profiles(given: ViewInputs) -> pd.DataFrame:
    """Layer profiles: of every spot, and of the other views once."""
    own = [
        layer_profiles({"spot": layer_density(density(spot))}).assign(spot=name) for name, spot in given.spots.items()
    ]
    others: dict[str, pd.Series[float]] = {}
    for name in views():
        if saved_name(name) in given.others:
            others |= VIEWS.traits(name).load().profiles(given.others[saved_name(name)])
    return pd.concat([*own, layer_profiles(others).assign(spot="")], ignore_index=True)


def _neuron_sets(loaded: LoadedModel, neurons: Found, chosen: str | None) -> dict[str, np.ndarray]:
    """Domain to the numbers of its neurons, from the saved list."""
    layout = find_sites(loaded.model)
    places = zip(layout.layers.tolist(), layout.experts.tolist(), layout.indices.tolist(), strict=True)
    number = {place: index for index, place in enumerate(places)}
    rows = neurons["neurons"][neurons["neurons"]["selection"] == chosen]
    return {
        str(domain): np.array(
            [number[place] for place in group[["layer", "expert", "neuron"]].itertuples(index=False, name=None)],
            dtype=np.int64,
        )
        for domain, group in rows.groupby("domain", sort=False)
    }


def _pairs(neurons: Found, chosen: str | None, alignment: Found) -> pd.DataFrame:
    """Rank correlation of alignment with the overlap of neurons over pairs of languages, one row a kind of overlap."""
    pooled = alignment["alignment_pooled"]
    pooled = pooled[pooled["pairs"] == DISTINCT_ROWS]
    aligned = {(str(a), str(b)): float(m) for a, b, m in pooled[["first", "second", "mean"]].itertuples(index=False)}
    shared = neurons["neurons_sharing"]
    shared = shared[(shared["selection"] == chosen) & (shared["layer"] == -1)]
    rows = []
    for kind in ("specific", "active"):
        overlap = {(str(a), str(b)): float(m) for a, b, m in shared[["first", "second", kind]].itertuples(index=False)}
        try:
            found = pair_correlation(aligned, overlap)
        except SelectionError:  # fewer than four languages in both: nothing to correlate
            continue
        rows.append((kind, found.pairs, found.rho, found.p_value))
    return pd.DataFrame(rows, columns=["overlap", "pairs", "rho", "p_value"])


def _ablation(loaded: LoadedModel, held_out: Corpus, spots: Mapping[str, Spot], neurons: Any) -> pd.DataFrame:
    """Perplexity ratios with a spot zeroed, the code domains' neurons, and each without the other."""
    evaluator = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), [], held_out.domains)

    @contextmanager
    def zeroed(positions: Any) -> Iterator[None]:
        with WeightEditor(loaded) as editor:
            editor.apply(positions, "zero")
            yield

    edits: list[tuple[str, str, Any]] = [("", "", None), ("neurons", "", neurons)]
    for name, spot in spots.items():
        edits += [
            ("spot", name, spot.positions),
            ("spot without neurons", name, without(spot.positions, neurons)),
            ("neurons without spot", name, without(neurons, spot.positions)),
        ]
    rows = []
    for ablated, name, positions in edits:
        with nullcontext() if positions is None else zeroed(positions):
            losses = evaluator.evaluate("across", require_finite=positions is None).losses
        sums = losses.groupby("domain", sort=False, as_index=False)[["tokens", "loss"]].sum()
        number = 0 if positions is None else len(positions)
        rows.append(sums.rename(columns={"domain": "evaluated"}).assign(ablated=ablated, spot=name, parameters=number))
    return perplexity_ratios(pd.concat(rows, ignore_index=True))
