"""Weights in units that are for code: the recipe of this name (:mod:`codingspot.units.prior`) over any estimator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from jaxtyping import Float32
from torch import Tensor

from codingspot.bench.entries import all_keys
from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
from codingspot.units.prior import prior_keys


@METHODS.register("unit_prior", traits=MethodTraits(variants=({"estimator": "wanda"}, {"recipe": "share"})))
def unit_prior(
    bench: BenchInput, *, estimator: str = "fisher", recipe: str = "log_ratio"
) -> Float32[Tensor, " parameters"]:
    """Weights by a contrast of their scores, in units that write for code and aren't needed by general text."""
    store = bench.scores(estimator)
    return all_keys(store, partial(prior_keys, replace(bench.given(), store=store), contrast=recipe))
