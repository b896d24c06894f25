"""How well a ranking of parameters finds a known subset of units and weights.

*By weight*: precision at the top k percent of all parameters, the share of them that lie in the subset. *By unit*: a
neuron's or head's score is the mean rank of its weights among those of the blocks (1 best, 0 last, so that no
estimator's scale matters), and average precision says how far the subset's units come first, per kind of unit. Chance
is the subset's share of the weights or units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float32
from sklearn.metrics import average_precision_score
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.models import ParameterLayout, role_of
from codingspot.testbed.routing import Subset

PERCENTS = (0.1, 1.0, 5.0)


def ground_truth(keys: Float32[Tensor, " parameters"], model: PreTrainedModel, subset: Subset) -> dict[str, float]:
    """Every figure of one ranking: ``precision_at_K`` and ``average_precision_KIND`` with KIND neurons or heads."""
    layout = ParameterLayout.of(model)
    inside = subset_positions(model, subset)
    blocks = block_positions(layout)
    figures: dict[str, float] = {}
    order = blocks[torch.argsort(keys[blocks], descending=True, stable=True)]
    for percent in PERCENTS:
        top = order[: max(1, round(percent / 100 * layout.total))]
        top = top[keys[top] > -torch.inf]
        figures[f"precision_at_{percent:g}"] = float(inside[top].float().mean()) if len(top) else float("nan")
    ranks = torch.zeros(layout.total)
    ranks[order] = torch.linspace(1, 0, len(order))
    ranks[blocks[keys[blocks] == -torch.inf]] = 0.0
    tensors = {name: ranks[layout.slice(name)].view(layout.shape(name)) for name in layout.names}
    for kind, (scores, labels) in units(tensors, model, subset).items():
        figures[f"average_precision_{kind}"] = float(average_precision_score(labels, scores))
    return figures


def chance(model: PreTrainedModel, subset: Subset) -> dict[str, float]:
    """What a random ranking gets on average, under the same names."""
    layout = ParameterLayout.of(model)
    share = float(subset_positions(model, subset)[block_positions(layout)].float().mean())
    tensors = {name: torch.zeros(layout.shape(name)) for name in layout.names}
    by_unit = {
        f"average_precision_{kind}": float(np.mean(labels))
        for kind, (_, labels) in units(tensors, model, subset).items()
    }
    return {**{f"precision_at_{percent:g}": share for percent in PERCENTS}, **by_unit}


def subset_positions(model: PreTrainedModel, subset: Subset) -> Bool[Tensor, " parameters"]:
    """Which of all the model's parameters belong to the subset."""
    layout = ParameterLayout.of(model)
    inside = torch.zeros(layout.total, dtype=torch.bool)
    for name, mask in subset.masks(model).items():
        inside[layout.slice(name)] = mask.flatten()
    return inside


def block_positions(layout: ParameterLayout) -> Tensor:
    """Positions of the attention and MLP matrices, in order."""
    spans = [layout.slice(name) for name in layout.names if role_of(name).block in ("attention", "mlp")]
    return torch.cat([torch.arange(span.start, span.stop) for span in spans])


def units(
    tensors: Mapping[str, Tensor], model: PreTrainedModel, subset: Subset
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By kind, the mean score of every unit of every layer and whether it belongs to the subset."""
    found: dict[str, tuple[list[float], list[bool]]] = {"neurons": ([], []), "heads": ([], [])}
    for layer in range(subset.layers):
        for kind, means, members in _layer_units(tensors, model, subset, f"layers.{layer}."):
            found[kind][0].extend(means.tolist())
            found[kind][1].extend(index in members for index in range(len(means)))
    return {kind: (np.array(means), np.array(labels)) for kind, (means, labels) in found.items()}


def _layer_units(
    tensors: Mapping[str, Tensor], model: PreTrainedModel, subset: Subset, layer: str
) -> Iterator[tuple[str, Tensor, set[int]]]:
    def matrix(kind: str) -> Tensor:
        return next(t for name, t in tensors.items() if layer in name and name.endswith(f".{kind}.weight"))

    rows = torch.cat([matrix("gate_proj"), matrix("up_proj"), matrix("down_proj").T], dim=1)
    yield "neurons", rows.mean(dim=1), set(subset.neurons)
    heads = int(model.config.num_attention_heads)
    by_head = torch.cat([matrix("q_proj").view(heads, -1), matrix("o_proj").T.reshape(heads, -1)], dim=1)
    yield "heads", by_head.mean(dim=1), set(subset.heads)
