"""Contrasts: recipes that order parameters by how much more code needs them than general text does.

In their formulas c is a parameter's aggregated code magnitude and g_d its magnitude for general domain d. Magnitudes of
different domains are means over tokens of one unit (nats), so that they can be compared as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from pydantic import Field
from torch import Tensor

from codingspot.spot.aggregation import Aggregate, Aggregation, Trim, aggregator
from codingspot.spot.candidates import Candidates, Keys, Run
from codingspot.spot.ranks import RankTable
from codingspot.spot.recipes import RECIPES, RecipeTraits
from codingspot.spot.requirements import general_text
from codingspot.spot.selection import find_cut

Smoothing = Annotated[float, Field(gt=0)]


def _contrast(**others: Any) -> Callable[..., RecipeTraits]:
    """What a contrast is: where it adds up the languages' magnitudes, it needs no more of them."""

    def traits(*, aggregation: Aggregation, **_parameters: object) -> RecipeTraits:
        return RecipeTraits(contrast=True, folds=aggregation == "sum", needs=general_text, in_shards=True, **others)

    return traits


@RECIPES.register(
    "set_difference",
    label="{scores}, the top of {general} removed",
    reference="arXiv 2402.05162",
    traits=_contrast(by="With {general} subtracted"),
)
def set_difference(
    candidates: Candidates,
    *,
    general_percent: Annotated[float, Field(ge=0, lt=100)] = 20.0,
    code_percent: Annotated[float, Field(gt=0, le=100)] = 100.0,
    aggregation: Aggregation = "sum",
    trim: Trim = 0.1,
) -> Keys:
    """Drops what general text needs, then orders by the aggregated code magnitude c.

    A parameter is dropped when it is in the top ``general_percent`` percent of the parameters in scope for any general
    domain, or outside the top ``code_percent`` percent for code; after the set difference of Wei et al. 2024 (arXiv
    2402.05162).
    """
    aggregate = aggregator(candidates, aggregation, trim)
    ranks = candidates.ranks
    dropped = round(general_percent / 100 * candidates.total)
    cuts = {domain: find_cut(candidates.magnitudes(domain), dropped, ranks) for domain in candidates.general if dropped}
    kept = max(1, round(code_percent / 100 * candidates.total))
    code_source = candidates.source(lambda run: (aggregate(run), None))
    floor = find_cut(code_source, kept, ranks) if kept < candidates.total else None

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], Bool[Tensor, " n"]]:
        code = aggregate(run)
        eligible = torch.ones(len(code), dtype=torch.bool) if floor is None else floor.keeps(code, run.position)
        for domain, cut in cuts.items():
            eligible &= ~cut.keeps(run.magnitude(domain), run.position)
        return code, eligible

    return keys


@RECIPES.register("log_ratio", traits=_contrast())
def log_ratio(
    candidates: Candidates, *, smoothing: Smoothing = 1.0, aggregation: Aggregation = "sum", trim: Trim = 0.1
) -> Keys:
    """log((c + s m_c) / (max_d g_d + s m_g)): how many times more code needs a parameter than any general domain.

    m_c and m_g are means over the scope of c and of max_d g_d, and s is ``smoothing``: without it, parameters that
    matter to nothing would lead by the chance of a small denominator.
    """
    aggregate = aggregator(candidates, aggregation, trim)
    code_mean, general_mean = _mean(candidates, aggregate), _mean(candidates, lambda run: _largest(candidates, run))

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], None]:
        above = aggregate(run) + smoothing * code_mean
        return above.div_(_largest(candidates, run) + smoothing * general_mean).log_(), None

    return keys


@RECIPES.register("share", traits=_contrast())
def share_of_total(
    candidates: Candidates, *, smoothing: Smoothing = 1.0, aggregation: Aggregation = "sum", trim: Trim = 0.1
) -> Keys:
    """c / (c + sum_d g_d + s m): code's share of all that a parameter matters to.

    m is the mean of c + sum_d g_d over the scope and s is ``smoothing``, so that a share of next to nothing does
    not lead.
    """
    aggregate = aggregator(candidates, aggregation, trim)

    def total(run: Run) -> Float32[Tensor, " n"]:
        return aggregate(run) + run.magnitudes(candidates.general).sum(dim=0)

    mean = _mean(candidates, total)
    return lambda run: (aggregate(run).div_(total(run) + smoothing * mean), None)


@RECIPES.register("rank_difference", traits=_contrast(ranks=True))
def rank_difference(candidates: Candidates, *, aggregation: Aggregation = "sum", trim: Trim = 0.1) -> Keys:
    """Rank for general text minus rank for code, both as shares of the scope; of several general domains the best rank.

    A rank is the share of the parameters in scope with a larger magnitude, read from a histogram of 65,536 bins (float
    bits, 1/128 of a magnitude wide) with linear interpolation inside a bin: memory does not grow with the model.
    """
    aggregate = aggregator(candidates, aggregation, trim)
    code = RankTable(candidates.source(lambda run: (aggregate(run), None)), ranks=candidates.ranks)
    general = {
        domain: RankTable(candidates.magnitudes(domain), ranks=candidates.ranks) for domain in candidates.general
    }

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], None]:
        best = np.min([table.above(run.magnitude(domain)) for domain, table in general.items()], axis=0)
        return torch.from_numpy((best - code.above(aggregate(run))).astype(np.float32)), None

    return keys


@RECIPES.register("orthogonal", traits=_contrast())
def orthogonal_residual(candidates: Candidates, *, aggregation: Aggregation = "sum", trim: Trim = 0.1) -> Keys:
    """c minus its least-squares projection on the general magnitudes: what they do not explain linearly.

    The vectors run over the parameters in scope; the coefficients a solve the normal equations G G' a = G c in float64,
    where the rows of G are the general domains. Linear dependence among them is resolved by the least norm.
    """
    aggregate = aggregator(candidates, aggregation, trim)

    def products(run: Run) -> Float64[Tensor, "domains both"]:
        general = run.magnitudes(candidates.general).double()
        return torch.column_stack([general @ general.T, general @ aggregate(run).double()])

    summed = candidates.sum(products)
    gram, along = summed[:, :-1].contiguous(), summed[:, -1].contiguous()
    coefficients = (torch.linalg.pinv(gram, hermitian=True) @ along).float()
    return lambda run: (aggregate(run) - coefficients @ run.magnitudes(candidates.general), None)


def _largest(candidates: Candidates, run: Run) -> Float32[Tensor, " n"]:
    return run.magnitudes(candidates.general).amax(dim=0)


def _mean(candidates: Candidates, value: Aggregate) -> float:
    return float(candidates.sum(lambda run: value(run).double().sum())) / candidates.total
