"""Recipes: how the scores of several domains become one total order of the parameters.

A recipe is a registered function from :class:`Candidates` to :data:`Keys`; ties in the keys are broken by position. Its
keyword-only, typed parameters are the keys that a study file or :func:`codingspot.spot.find_spot` may set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.models import Registry
from codingspot.spot.candidates import Candidates, Keys, Run
from codingspot.spot.selection import KeySource, find_cut, select_top

Recipe = Callable[..., Keys]
Aggregation = Literal["sum", "token-weighted", "median", "trimmed-mean"]

RECIPES: Registry[Recipe] = Registry("recipe")


@RECIPES.register("sum")
def aggregated(candidates: Candidates, *, aggregation: Aggregation = "sum", trim: float = 0.1) -> Keys:
    """The languages' magnitudes, aggregated; by default their sum, as in the Coding Spot paper.

    ``token-weighted`` weights each language by its share of the predicted tokens; ``median`` and ``trimmed-mean`` are
    robust to one language that dominates. The trimmed mean leaves out floor(``trim`` * languages) at either end.

    Raises:
        SelectionError: ``trim`` is not in [0, 0.5).
    """
    aggregate = _aggregator(candidates, aggregation, trim)
    return lambda run: (aggregate(run), None)


@RECIPES.register("set_difference")
def set_difference(
    candidates: Candidates,
    *,
    general_percent: float = 20.0,
    aggregation: Aggregation = "sum",
    trim: float = 0.1,
) -> Keys:
    """Drops what general text needs, then orders by the aggregated code magnitude.

    A parameter is dropped when it is in the top ``general_percent`` percent of the parameters in scope for any general
    domain; after the set difference of Wei et al. 2024 (arXiv 2402.05162).

    Raises:
        SelectionError: the store has no general domain, ``general_percent`` is not in [0, 100), or ``trim`` is not in
            [0, 0.5).
    """
    if not candidates.general:
        raise SelectionError("set_difference needs a general domain, such as English; score one beside the code")
    if not 0 <= general_percent < 100:
        raise SelectionError(f"general_percent is {general_percent}; it is in percent: at least 0 and below 100")
    aggregate = _aggregator(candidates, aggregation, trim)
    dropped = round(general_percent / 100 * candidates.total)
    cuts = {domain: find_cut(_magnitudes(candidates, domain), dropped) for domain in candidates.general if dropped}

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], Bool[Tensor, " n"]]:
        eligible = torch.ones(run.stop - run.start, dtype=torch.bool)
        for domain, cut in cuts.items():
            eligible &= ~cut.keeps(run.magnitude(domain), run.position)
        return aggregate(run), eligible

    return keys


@RECIPES.register("consensus")
def consensus(candidates: Candidates, *, at_least: int | None = None) -> Keys:
    """Orders by the ``at_least``-th best of the languages' ranks.

    A parameter with key -r is among the best r + 1 of at least ``at_least`` languages, by default of all of them: the
    Code Region's "consistently important". A rank is the number of parameters in scope with a larger magnitude. Ranks
    are taken as deep as is needed to select what is wanted: whatever lies deeper shares the lowest key. Keys tell apart
    ranks up to 2^24, and larger ones to 24 significant bits.

    Raises:
        SelectionError: ``at_least`` is not between 1 and the number of languages.
    """
    needed = len(candidates.code) if at_least is None else at_least
    if not 1 <= needed <= len(candidates.code):
        raise SelectionError(f"at_least is {needed}; it must be between 1 and {len(candidates.code)}, the languages")
    depth = candidates.wanted
    while True:
        keys = _consensus_to_depth(candidates, needed, depth)
        if depth == candidates.total or _ranked_above(candidates.source(keys), depth) >= candidates.wanted:
            return keys
        depth = min(candidates.total, 2 * depth)


def _consensus_to_depth(candidates: Candidates, needed: int, depth: int) -> Keys:
    # Ascending negated magnitudes of each language's top: where a value would be inserted is its rank.
    tops = {domain: select_top(_magnitudes(candidates, domain), depth).keys.neg() for domain in candidates.code}

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], None]:
        ranks = torch.full((len(tops), run.stop - run.start), depth, dtype=torch.int64)
        for row, (domain, top) in zip(ranks, tops.items(), strict=True):
            negated = run.magnitude(domain).neg()
            inside = (negated <= top[-1]).nonzero().squeeze(1)
            row[inside] = torch.searchsorted(top, negated[inside])
        return ranks.kthvalue(needed, dim=0).values.neg().float(), None

    return keys


def _ranked_above(source: KeySource, depth: int) -> int:
    return sum(int((chunk.keys > -depth).sum()) for chunk in source())


def _magnitudes(candidates: Candidates, domain: str) -> KeySource:
    return candidates.source(lambda run: (run.magnitude(domain), None))


def _aggregator(
    candidates: Candidates, aggregation: Aggregation, trim: float
) -> Callable[[Run], Float32[Tensor, " n"]]:
    languages = len(candidates.code)
    if aggregation == "sum":
        return lambda run: run.magnitudes(candidates.code).sum(dim=0)
    if aggregation == "token-weighted":
        tokens = [candidates.store.domain(name).predicted_tokens for name in candidates.code]
        shares = torch.tensor(tokens, dtype=torch.float32) / sum(tokens)
        return lambda run: shares @ run.magnitudes(candidates.code)
    if not 0 <= trim < 0.5:
        raise SelectionError(f"trim is {trim}; it is the share left out at either end: at least 0 and below 0.5")
    # The median is the mean of the one or two in the middle.
    left_out = (languages - 1) // 2 if aggregation == "median" else int(trim * languages)
    return lambda run: run.magnitudes(candidates.code).sort(dim=0).values[left_out : languages - left_out].mean(dim=0)
