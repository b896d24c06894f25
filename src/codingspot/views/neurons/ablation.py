"""What neurons do: every domain's loss while the neurons of one are silent, beside random neurons that are alike.

1. Silent neurons have activation 0, whatever comes in: the rest of the model runs as it is.
2. A control has, for every neuron, another of the same layer that is active about as often on the same domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import SelectionError
from codingspot.views.neurons.sites import NeuronLayout, observed

_NEAREST = 10


@contextmanager
def silenced(model: PreTrainedModel, layout: NeuronLayout, neurons: np.ndarray) -> Iterator[None]:
    """Inside the block the activations of ``neurons`` (numbers in ``layout``) are 0."""
    targets: dict[tuple[int, int], Tensor] = {}
    for number, site in enumerate(layout.sites):
        inside = layout.of_site(number, neurons)
        for expert in np.unique(inside // site.width).tolist():
            indices = inside[inside // site.width == expert] % site.width
            targets[number, expert] = torch.from_numpy(indices).to(model.device)

    def silence(number: int, expert: int, activations: Tensor, _tokens: Tensor | None) -> Tensor | None:
        indices = targets.get((number, expert))
        return None if indices is None else activations.index_fill(-1, indices, 0)

    with observed(model, layout, silence):
        yield


def matched_neurons(layout: NeuronLayout, rates: np.ndarray, neurons: np.ndarray, seed: int) -> np.ndarray:
    """As many random neurons of the same layers, each active about as often as one of ``neurons``.

    In random order, each neuron draws one of the ten of its layer whose rate is nearest to its own, among those that
    are neither in ``neurons`` nor drawn before.

    Args:
        layout: the model's neurons.
        rates: activation probability of every neuron on one domain, float64 ``[neurons]``.
        neurons: numbers of the neurons to be matched.
        seed: of the draws.

    Raises:
        SelectionError: a layer has too few other neurons.
    """
    generator = np.random.default_rng(seed)
    free = np.ones(layout.total, dtype=bool)
    free[neurons] = False
    drawn = []
    for neuron in generator.permutation(neurons):
        pool = np.flatnonzero(free & (layout.layers == layout.layers[neuron]))
        if not len(pool):
            raise SelectionError(
                f"layer {layout.layers[neuron]} has no other neurons to compare with; select fewer neurons"
            )
        distance = np.abs(rates[pool] - rates[neuron])
        chosen = int(generator.choice(pool[np.argsort(distance, kind="stable")[:_NEAREST]]))
        free[chosen] = False
        drawn.append(chosen)
    return np.array(drawn, dtype=np.int64)


def perplexity_ratios(losses: pd.DataFrame) -> pd.DataFrame:
    """Perplexity of every domain under each edit, over the original model's.

    Args:
        losses: one row an edit and domain: ``ablated`` (empty for the original model), ``control``, ``seed``,
            ``evaluated``, ``tokens``, and ``loss``, summed over tokens, in nats.

    Returns:
        The rows of edits with a further column ``ratio`` = exp((loss - original loss) / tokens).
    """
    original = losses[losses["ablated"] == ""].set_index("evaluated")["loss"]
    edited = losses[losses["ablated"] != ""].reset_index(drop=True)
    extra = edited["loss"] - edited["evaluated"].map(original)
    return edited.assign(ratio=np.exp(extra / edited["tokens"]))


def diagonal_and_rest(ratios: pd.DataFrame) -> pd.DataFrame:
    """Geometric means of perplexity ratios: one row for the domains' neurons, one for the random controls.

    ``own`` is over domains evaluated while their own neurons are silent, ``others`` over all other pairs.
    """
    rows = []
    for control, group in ratios.groupby("control", sort=False):
        own = group["ablated"] == group["evaluated"]
        means = [float(np.exp(np.log(group.loc[which, "ratio"]).mean())) for which in (own, ~own)]
        rows.append((control or "neurons", *means))
    return pd.DataFrame(rows, columns=["silent", "own", "others"])
