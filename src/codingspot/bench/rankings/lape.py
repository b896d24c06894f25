"""Neurons that are specific to programming languages by the entropy of their activations (LAPE, arXiv 2402.16438).

As :mod:`codingspot.views.neurons.selection` has it: a neuron is specific to the domains on whose tokens it is active
more often than the 0.95 quantile of all such shares; the lower the entropy of its shares over domains the more specific
it is. Here those come first, by their entropy, that are specific to a language and to no general domain; all others are
left out.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.bench.methods import METHODS, BenchInput
from codingspot.bench.rankings.unit_keys import keys_of_units
from codingspot.models import find_units

Quantile = Annotated[float, Field(gt=0, lt=1)]


@METHODS.register("neurons_by_lape", reference="arXiv 2402.16438")
def neurons_by_lape(bench: BenchInput, *, quantile: Quantile = 0.95) -> Float32[Tensor, " parameters"]:
    """Neurons active on some programming languages and on little else, least entropy first (arXiv 2402.16438)."""
    # These load transformers and pandas.
    from codingspot.views.neurons.counting import ActivationCounts, count_activations
    from codingspot.views.neurons.selection import entropy, select
    from codingspot.views.neurons.sites import find_sites

    model, (code, general) = bench.loaded.model, bench.texts
    sites = find_sites(model)
    counts = [count_activations(model, sites, name, tokens.input_ids)[0] for name, tokens in (code | general).items()]
    found = ActivationCounts.side_by_side(counts)
    specific = select(found.probabilities, found.domains, selection="per-language", size=sites.total, quantile=quantile)
    of_code, of_general = (np.concatenate([specific[name] for name in side]) for side in (code, general))
    chosen = np.setdiff1d(of_code, of_general)
    keys = np.full(sites.total, -np.inf)
    keys[chosen] = -entropy(found.probabilities)[chosen]
    return keys_of_units(find_units(model, "neuron"), torch.from_numpy(keys))
