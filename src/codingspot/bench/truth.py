"""How well a ranking of parameters finds a known subset of units and weights.

*By weight*: precision at the top k percent of all parameters, the share of them that lie in the subset. *By unit*: a
neuron's or head's score is the mean rank of its weights among those of the blocks (1 best, 0 last, so that no
estimator's scale matters), and average precision says how far the subset's units come first, per kind of unit. *Graded
by use*: units of the subset that code doesn't use (:mod:`codingspot.bench.use`) are neither hits nor misses: they are
left out of the ranking.

Methods may give many weights the same key. Where the order of ties is left open, every figure is its mean over all
orders: a tied weight's rank is the mean of the ranks that the tied ones share, and the tied weights at the cut of a top
k percent are in the subset as often as those tied with them. Units of equal score enter average precision together
(:func:`sklearn.metrics.average_precision_score`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float32
from sklearn.metrics import average_precision_score
from torch import Tensor

from codingspot.bench.ranks import block_positions
from codingspot.models import ParameterLayout
from codingspot.spot.ranks import shared_ranks
from codingspot.testbed.routing import LayerUnits, Subset

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

PERCENTS = (0.1, 1.0, 5.0)


def ground_truth(
    keys: Float32[Tensor, " parameters"], model: PreTrainedModel, subset: Subset, used: Subset | None = None
) -> dict[str, float]:
    """Every figure of one ranking: ``precision_at_K`` and ``average_precision_KIND`` with KIND neurons or heads.

    With the part of the subset that is ``used``, also ``graded_average_precision_KIND``. Of units none of whose weights
    are ranked there is no average precision, and of a ranking of nothing no precision.
    """
    layout = ParameterLayout.of(model)
    blocks = block_positions(layout)
    inside = subset_positions(model, subset)[blocks]
    figures = {}
    for percent in PERCENTS:
        wanted = max(1, round(percent / 100 * layout.total))
        precision = precision_at(wanted, keys[blocks], inside)
        if not math.isnan(precision):
            figures[f"precision_at_{percent:g}"] = precision
    ranks = torch.zeros(layout.total, dtype=torch.float64)
    ranks[blocks] = shared_ranks(keys[blocks])
    tensors = {name: ranks[layout.slice(name)].view(layout.shape(name)) for name in layout.names}
    for name, scores, labels in _rankings(tensors, model, subset, used):
        if scores.any():  # otherwise every weight of that kind is left out
            figures[name] = float(average_precision_score(labels, scores))
    return figures


def chance(model: PreTrainedModel, subset: Subset, used: Subset | None = None) -> dict[str, float]:
    """What a random ranking gets on average, under the same names."""
    layout = ParameterLayout.of(model)
    share = float(subset_positions(model, subset)[block_positions(layout)].float().mean())
    tensors = {name: torch.zeros(layout.shape(name)) for name in layout.names}
    by_unit = {
        name: expected_average_precision(len(labels), int(labels.sum()))
        for name, _, labels in _rankings(tensors, model, subset, used)
    }
    return {**{f"precision_at_{percent:g}": share for percent in PERCENTS}, **by_unit}


def precision_at(n: int, keys: Float32[Tensor, " n"], inside: Bool[Tensor, " n"]) -> float:
    """Share of the n largest keys that are ``inside``, on average over all orders of equal keys.

    Keys of minus infinity are left out: with fewer than n others it is the share of those, with none NaN.
    """
    n = min(n, int((keys > -torch.inf).sum()))
    if n == 0:
        return float("nan")
    cut = torch.kthvalue(keys, len(keys) - n + 1).values
    above, tied = keys > cut, keys == cut
    found = int(inside[above].sum()) + (n - int(above.sum())) * float(inside[tied].double().mean())
    return found / n


def expected_average_precision(units: int, inside: int) -> float:
    """Average precision of ``units`` in random order, on average, where ``inside`` of them are to be found.

    (H + (R - 1) / (N - 1) (N - H)) / N with N units, R of them inside, and H the N-th harmonic number (Bestgen 2015,
    Exact expected average precision of the random baseline for system evaluation). It exceeds R / N, the more the
    fewer units there are.
    """
    harmonic = float((1 / np.arange(1, units + 1)).sum())
    return (harmonic + (inside - 1) / (units - 1) * (units - harmonic)) / units


def subset_positions(model: PreTrainedModel, subset: Subset) -> Bool[Tensor, " parameters"]:
    """Which of all the model's parameters belong to the subset."""
    layout = ParameterLayout.of(model)
    inside = torch.zeros(layout.total, dtype=torch.bool)
    for name, mask in subset.masks(model).items():
        inside[layout.slice(name)] = mask.flatten()
    return inside


def _rankings(
    tensors: Mapping[str, Tensor], model: PreTrainedModel, subset: Subset, used: Subset | None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """By name of a figure, the mean scores of the units that count and which of them are to be found."""
    known = units(tensors, model, subset)
    for kind, (scores, inside) in known.items():
        yield f"average_precision_{kind}", scores, inside
    for kind, (scores, hits) in ({} if used is None else units(tensors, model, used)).items():
        counted = hits | ~known[kind][1]
        yield f"graded_average_precision_{kind}", scores[counted], hits[counted]


def units(
    tensors: Mapping[str, Tensor], model: PreTrainedModel, subset: Subset
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By kind, the mean score of every unit of every layer and whether it belongs to the subset."""
    found: dict[str, tuple[list[float], list[bool]]] = {"neurons": ([], []), "heads": ([], [])}
    for layer, routed in enumerate(subset.layers):
        for kind, means, members in _layer_units(tensors, model, routed, f"layers.{layer}."):
            found[kind][0].extend(means.tolist())
            found[kind][1].extend(index in members for index in range(len(means)))
    return {kind: (np.array(means), np.array(labels)) for kind, (means, labels) in found.items()}


def _layer_units(
    tensors: Mapping[str, Tensor], model: PreTrainedModel, routed: LayerUnits, layer: str
) -> Iterator[tuple[str, Tensor, set[int]]]:
    def matrix(kind: str) -> Tensor:
        return next(t for name, t in tensors.items() if layer in name and name.endswith(f".{kind}.weight"))

    rows = torch.cat([matrix("gate_proj"), matrix("up_proj"), matrix("down_proj").T], dim=1)
    yield "neurons", rows.mean(dim=1), set(routed.neurons)
    heads = int(model.config.num_attention_heads)
    by_head = torch.cat([matrix("q_proj").view(heads, -1), matrix("o_proj").T.reshape(heads, -1)], dim=1)
    yield "heads", by_head.mean(dim=1), set(routed.heads)
