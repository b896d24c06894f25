"""Recipes: how the scores of several domains become one total order of the parameters.

A recipe is a registered function from :class:`Candidates` to :data:`Keys`; ties in the keys are broken by position. Its
keyword-only, typed parameters are the keys that a study file or :func:`codingspot.spot.find_spot` may set. One that is
trained takes a :class:`codingspot.spot.training.TrainingInput` instead, and gives a spot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.models import Registry
from codingspot.spot.aggregation import Aggregation, aggregator
from codingspot.spot.candidates import Candidates, Keys, Run
from codingspot.spot.selection import KeySource, select_top

Recipe = Callable[..., Any]


@dataclass(frozen=True)
class TrainingCost:
    """What training a recipe takes.

    Attributes:
        shortlist_percent: percentage of all parameters that are selected from scores to begin with.
        sequences: of each kind of text in one step.
        steps: at most.
    """

    shortlist_percent: float
    sequences: int
    steps: int


@dataclass(frozen=True)
class RecipeTraits:
    """What a recipe is, for the stages beside it.

    Its label may name ``{general}``, the general domains, and ``{scores}``, what its parameter ``aggregation`` makes of
    the languages' scores.

    Attributes:
        contrast: it reads the general domains' scores too.
        ranks: it keeps the ranks of each domain's parameters, which takes memory.
        training: from the recipe's parameters, what training it takes; None for one that is computed from scores alone.
        by: as a sentence begins that tells what was done by it; ``{label}`` and ``{estimator}`` may be named.
        of_the_paper: it is what the Coding Spot paper selects by.
    """

    contrast: bool = False
    ranks: bool = False
    training: Callable[..., TrainingCost] | None = None
    by: str = ""
    of_the_paper: bool = False


RECIPES: Registry[Recipe, RecipeTraits] = Registry("recipe", RecipeTraits())


def _sum_traits(*, aggregation: Aggregation, trim: float) -> RecipeTraits:
    del trim
    return RecipeTraits(by="By the {label} ({estimator})", of_the_paper=aggregation == "sum")


@RECIPES.register("sum", label="{scores}", traits=_sum_traits)
def aggregated(candidates: Candidates, *, aggregation: Aggregation = "sum", trim: float = 0.1) -> Keys:
    """The languages' magnitudes, aggregated; by default their sum, as in the Coding Spot paper.

    ``token-weighted`` weights each language by its share of the predicted tokens; ``median`` and ``trimmed-mean`` are
    robust to one language that dominates. The trimmed mean leaves out floor(``trim`` * languages) at either end.

    Raises:
        SelectionError: ``trim`` is not in [0, 0.5).
    """
    aggregate = aggregator(candidates, aggregation, trim)
    return lambda run: (aggregate(run), None)


@RECIPES.register(
    "consensus",
    label="consensus of the languages",
    traits=RecipeTraits(ranks=True, by="By consensus of the languages"),
)
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
    tops = {domain: select_top(candidates.magnitudes(domain), depth).keys.neg() for domain in candidates.code}

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
