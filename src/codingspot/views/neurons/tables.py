"""What a reader sees of neurons: lists, layers, overlap of domains, and how firm the sets are; all tidy tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from codingspot.views.neurons import Selection
from codingspot.views.neurons.counting import ActivationCounts
from codingspot.views.neurons.selection import bar, entropy, exclusive_only, select
from codingspot.views.neurons.sites import NeuronLayout

Found = Mapping[str, np.ndarray]
"""Domain to the numbers of its neurons."""

WHOLE = -1
"""The ``layer`` of rows that are about all layers together."""


def neuron_list(layout: NeuronLayout, counts: ActivationCounts, found: Found) -> pd.DataFrame:
    """One row a domain and neuron, in order of selection: domain, rank, neuron's place, rate, entropy, exclusive.

    ``rate`` is the neuron's activation probability on the domain, ``elsewhere`` its mean over the others.
    """
    probabilities, entropies = counts.probabilities, entropy(counts.probabilities)
    alone = exclusive_only(found)
    tables = []
    for column, name in enumerate(counts.domains):
        chosen = found[name]
        others = np.delete(probabilities[chosen], column, axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "domain": name,
                    "rank": np.arange(1, len(chosen) + 1),
                    "layer": layout.layers[chosen],
                    "expert": layout.experts[chosen],
                    "neuron": layout.indices[chosen],
                    "rate": probabilities[chosen, column],
                    "elsewhere": others.mean(1),
                    "entropy": entropies[chosen],
                    "exclusive": np.isin(chosen, alone[name]),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def layer_histogram(layout: NeuronLayout, found: Found) -> pd.DataFrame:
    """One row a domain and layer: how many neurons are specific, how many exclusively, and how many there are."""
    alone = exclusive_only(found)
    layers, sizes = np.unique(layout.layers, return_counts=True)
    rows = [
        (name, int(layer), int((at[chosen] == layer).sum()), int((at[alone[name]] == layer).sum()), int(size))
        for at in [layout.layers]
        for name, chosen in found.items()
        for layer, size in zip(layers, sizes, strict=True)
    ]
    return pd.DataFrame(rows, columns=["domain", "layer", "specific", "exclusive", "neurons"])


def sharing(layout: NeuronLayout, counts: ActivationCounts, found: Found, quantile: float) -> pd.DataFrame:
    """One row a pair of domains and layer (and -1, all layers): how far their neurons are the same.

    ``specific``: Jaccard index of their specific neurons; ``active``: of all neurons active in each, those with a
    probability above the bar. Not a number where neither has any. ``shared`` is the number of specific neurons in both.
    """
    above = counts.probabilities > bar(counts.probabilities, quantile)
    chosen = np.zeros_like(above)
    for column, name in enumerate(counts.domains):
        chosen[found[name], column] = True
    layers = [WHOLE, *np.unique(layout.layers).tolist()]
    rows = []
    for first, second in combinations(range(len(counts.domains)), 2):
        for layer in layers:
            inside = slice(None) if layer == WHOLE else layout.layers == layer
            own = chosen[inside][:, [first, second]]
            rows.append(
                (
                    counts.domains[first],
                    counts.domains[second],
                    layer,
                    int(own.all(1).sum()),
                    _jaccard(own),
                    _jaccard(above[inside][:, [first, second]]),
                )
            )
    return pd.DataFrame(rows, columns=["first", "second", "layer", "shared", "specific", "active"])


def sweep(
    parts: Sequence[ActivationCounts], quantiles: Sequence[float], *, selection: Selection, size: float, quantile: float
) -> pd.DataFrame:
    """How the sets change with the quantile and with the amount of text, against those of all text at ``quantile``.

    One row a setting and domain: ``varied`` (quantile or text), ``quantile``, ``tokens`` of the domain, how many
    neurons are selected, and their Jaccard index with the reference.
    """
    whole = sum(parts[1:], parts[0])
    domains = whole.domains

    def chosen(counts: ActivationCounts, at: float) -> dict[str, np.ndarray]:
        return select(counts.probabilities, domains, selection=selection, size=size, quantile=at)

    reference = chosen(whole, quantile)
    settings = [("quantile", each, whole) for each in quantiles]
    running = parts[0]
    for following in [None, *parts[1:]]:
        running = running if following is None else running + following
        settings.append(("text", quantile, running))
    rows = []
    for varied, at, counts in settings:
        found = chosen(counts, at)
        for column, name in enumerate(domains):
            same = len(np.intersect1d(found[name], reference[name]))
            union = len(found[name]) + len(reference[name]) - same
            jaccard = same / union if union else float("nan")
            rows.append((varied, at, name, int(counts.tokens[column]), len(found[name]), jaccard))
    return pd.DataFrame(rows, columns=["varied", "quantile", "domain", "tokens", "selected", "jaccard"])


def _jaccard(sets: np.ndarray) -> float:
    """Jaccard index of two sets given as a bool array ``[members, 2]``."""
    union = int(sets.any(1).sum())
    return int(sets.all(1).sum()) / union if union else float("nan")
