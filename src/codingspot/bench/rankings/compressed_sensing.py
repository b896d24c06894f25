"""Attention heads by compressed sensing (Bair et al. 2026, arXiv 2603.03335).

1. Of 100 random masks each zeroes about 2% of the heads: each by the toss of a coin, or those that were in the fewest
   masks so far, in random order (*stratified*), one at least.
2. Under each mask code is evaluated: there, accuracy on 20 items of a task; here its mean loss, which tells more of as
   much text. The model isn't loaded anew: weights are zeroed in place and put back bit for bit.
3. The Lasso explains the outcomes, standardised, by the masks: minimise |y - M w - b|^2 / (2 masks) + alpha |w|_1. A
   head's key is its weight: how far the loss rises without it. General text isn't read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
from codingspot.bench.rankings.unit_keys import keys_of_units, settings_of
from codingspot.extras import optional_packages
from codingspot.models import find_units
from codingspot.settings import Count
from codingspot.units.refining import effects_of_sets

Design = Literal["stratified", "bernoulli"]


@METHODS.register(
    "compressed_sensing",
    reference="arXiv 2603.03335",
    traits=MethodTraits(quick=False, variants=({"design": "bernoulli"}, {"mask_share": 0.1})),
)
def compressed_sensing(
    bench: BenchInput,
    *,
    design: Design = "stratified",
    masks: Count = 100,
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.02,
    alpha: Annotated[float, Field(gt=0)] = 0.01,
    tokens: Count = 4096,
) -> Float32[Tensor, " parameters"]:
    """Attention heads by the Lasso over losses of code under random masks of heads (arXiv 2603.03335).

    ``tokens`` of code are read under each mask, an equal share of each language.
    """
    with optional_packages():
        from sklearn.linear_model import Lasso
        from sklearn.preprocessing import scale

    units = find_units(bench.loaded.model, "head")
    drawn = random_masks(design, masks, len(units), mask_share, np.random.default_rng(bench.seed))
    sets = [torch.from_numpy(np.flatnonzero(mask)) for mask in drawn]
    code_alone = replace(bench.given(), general={})
    share = tokens // len(code_alone.code)
    rises = effects_of_sets(code_alone, units, settings_of("", contrast="none"), sets, share)
    fitted = Lasso(alpha=alpha, max_iter=5000).fit(drawn.astype(float), scale(rises.numpy()))
    return keys_of_units(units, torch.from_numpy(fitted.coef_).double())


def random_masks(design: Design, masks: int, units: int, share: float, generator: np.random.Generator) -> np.ndarray:
    """Which units each mask zeroes, bool ``[masks, units]``."""
    if design == "bernoulli":
        return generator.random((masks, units)) < share
    drawn = np.zeros((masks, units), dtype=bool)
    for mask in drawn:
        order = np.lexsort((generator.random(units), drawn.sum(0)))
        mask[order[: max(1, int(share * units))]] = True
    return drawn
