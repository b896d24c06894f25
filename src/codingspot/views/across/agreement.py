"""How the three views of one model agree: parameters (a spot), neurons (LAPE), and representations (MEXA, logit lens).

1. The parameters of a neuron are the rows of the gate and up projections that feed it and the column of the down
   projection that it feeds.
2. A spot that has nothing to do with a set of neurons has as large a share of its MLP parameters in theirs as they have
   of the layer's: that is what is expected, layer by layer.
3. Zeroing a spot without the neurons' parameters, and these without the spot's, says which of the two matters.
4. Over pairs of languages, alignment is set beside the overlap of neurons. Pairs that share a language are not
   independent, so the p-value permutes languages (Mantel's test).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import ModelError, SelectionError
from codingspot.models import Units, find_units
from codingspot.views.neurons.sites import NeuronLayout

_EXACT = 7
"""Most languages whose permutations are all gone through."""


def neuron_parameters(model: PreTrainedModel, layout: NeuronLayout, neurons: np.ndarray) -> Tensor:
    """Positions of the parameters of ``neurons``: int64, increasing, in the model's :class:`ParameterLayout`.

    Rows of gate, up and fused gate-up projections with their biases, and columns of the down projection without its
    bias, which is no neuron's; of experts, those of the expert.

    Raises:
        ModelError: the weights of its neurons can't be told apart.
    """
    return _units_of(model, layout).positions(torch.from_numpy(neurons)).sort().values


def _units_of(model: PreTrainedModel, layout: NeuronLayout) -> Units:
    """The neurons with their weights; they are numbered as in ``layout``."""
    units = find_units(model, "neuron")
    if units.layers.tolist() != layout.layers.tolist():
        raise ModelError(f"{type(model).__name__} has MLPs whose weights aren't understood; leave out across")
    return units


def spot_in_neurons(
    model: PreTrainedModel, layout: NeuronLayout, spot: Tensor, found: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """How much of a spot lies in each domain's neurons: one row a domain and layer.

    Args:
        model: the model.
        layout: its neurons.
        spot: positions of the spot's parameters.
        found: domain to its neurons.

    Returns:
        ``domain``, ``layer``, ``spot`` (spot's parameters in the layer's MLPs), ``inside`` (those in the neurons'), and
        ``expected``, spot times the neurons' share of the layer's MLP parameters that belong to some neuron.
    """
    units = _units_of(model, layout)
    spot_mask = torch.zeros(units.layout.total, dtype=torch.bool)
    spot_mask[spot] = True
    every = {
        int(layer): units.positions((units.layers == layer).nonzero().squeeze(1)) for layer in np.unique(layout.layers)
    }
    rows = []
    for domain, neurons in found.items():
        for layer, whole in every.items():
            own = units.positions(torch.from_numpy(neurons[layout.layers[neurons] == layer]))
            selected = int(spot_mask[whole].sum())
            rows.append((domain, layer, selected, int(spot_mask[own].sum()), selected * len(own) / len(whole)))
    return pd.DataFrame(rows, columns=["domain", "layer", "spot", "inside", "expected"])


def without(positions: Tensor, others: Tensor) -> Tensor:
    """``positions`` that are not among ``others``, in their order."""
    return positions[~torch.isin(positions, others)]


@dataclass(frozen=True)
class PairCorrelation:
    """Spearman's rank correlation over pairs of languages.

    Attributes:
        pairs: how many pairs have both values.
        rho: the correlation; not a number where one side does not vary.
        p_value: two-sided, by permuting languages.
    """

    pairs: int
    rho: float
    p_value: float


def pair_correlation(
    first: Mapping[tuple[str, str], float],
    second: Mapping[tuple[str, str], float],
    *,
    draws: int = 9_999,
    seed: int = 0,
) -> PairCorrelation:
    """Correlate two measures of pairs of languages, whichever way round each pair is given.

    Languages are those with a value in both measures for every pair of them. All their permutations are gone through
    for up to 7 languages; of more, ``draws`` are drawn by ``seed`` and the given order counts as one more.

    Raises:
        SelectionError: fewer than four languages are in both measures.
    """
    languages = _complete(first, second)
    if len(languages) < 4:
        raise SelectionError(f"pairs of {len(languages)} languages are too few to correlate; give at least four")
    a, b = (_matrix(each, languages) for each in (first, second))
    upper = np.triu_indices(len(languages), 1)
    # Ranks stay with their pairs, so every permutation's correlation is that of permuted ranks.
    ranks = _symmetric(_average_ranks(a[upper]), len(languages)), _average_ranks(b[upper])
    if np.ptp(a[upper]) == 0 or np.ptp(b[upper]) == 0:
        return PairCorrelation(len(upper[0]), float("nan"), float("nan"))
    rho = _correlation(ranks[0][upper], ranks[1])
    exact = len(languages) <= _EXACT
    generator = np.random.default_rng(seed)
    orders = (
        (np.array(each) for each in permutations(range(len(languages))))
        if exact
        else (generator.permutation(len(languages)) for _ in range(draws))
    )
    tolerance = 1e-12
    larger = sum(
        abs(_correlation(ranks[0][np.ix_(order, order)][upper], ranks[1])) >= abs(rho) - tolerance for order in orders
    )
    p_value = larger / factorial(len(languages)) if exact else (larger + 1) / (draws + 1)
    return PairCorrelation(len(upper[0]), rho, p_value)


def _complete(first: Mapping[tuple[str, str], float], second: Mapping[tuple[str, str], float]) -> list[str]:
    """Languages every pair of which has a number in both measures; those missing most are dropped first."""
    languages = sorted({name for pair in first for name in pair} & {name for pair in second for name in pair})

    def missing(name: str) -> int:
        others = [other for other in languages if other != name]
        return int(sum(np.isnan(_value(each, name, other)) for other in others for each in (first, second)))

    while languages:
        worst = max(languages, key=missing)
        if not missing(worst):
            break
        languages.remove(worst)
    return languages


def _value(measure: Mapping[tuple[str, str], float], first: str, second: str) -> float:
    return float(measure.get((first, second), measure.get((second, first), float("nan"))))


def _matrix(measure: Mapping[tuple[str, str], float], languages: list[str]) -> np.ndarray:
    return np.array([[0.0 if a == b else _value(measure, a, b) for b in languages] for a in languages])


def _symmetric(upper: np.ndarray, size: int) -> np.ndarray:
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size, 1)] = upper
    return matrix + matrix.T


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 on; ties share the mean of theirs."""
    return pd.Series(values).rank().to_numpy()


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def layer_profiles(views: Mapping[str, pd.Series[float]]) -> pd.DataFrame:
    """Each view by layer: ``view``, ``layer``, ``depth`` (0 to 1), ``value``, ``relative`` to its largest.

    Args:
        views: name to values by layer, counted from 0.
    """
    tables = []
    for view, values in views.items():
        layers = values.index.astype(int)
        deepest = max(int(layers.max()), 1)
        tables.append(
            pd.DataFrame(
                {
                    "view": view,
                    "layer": layers,
                    "depth": layers / deepest,
                    "value": values.to_numpy(),
                    "relative": values.to_numpy() / (values.max() or 1.0),
                }
            )
        )
    columns = ["view", "layer", "depth", "value", "relative"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def layer_density(density: pd.DataFrame) -> pd.Series[float]:
    """A spot's share of each layer's parameters, from its :func:`codingspot.spot.density` at one dose."""
    inside = density[density["layer"].notna()].groupby("layer")[["selected", "parameters"]].sum()
    return inside["selected"] / inside["parameters"]
