"""Recipes: how the scores of several domains become one total order of the parameters.

A recipe is a registered function from :class:`Candidates` to :data:`Keys`; ties in the keys are broken by position. Its
keyword-only, typed parameters are the keys that a study file or :func:`codingspot.spot.find_spot` may set. One that is
trained, or that reads activations, takes a :class:`codingspot.spot.training.TrainingInput` instead, and gives a spot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.errors import SelectionError, StudyError
from codingspot.models import Registry, UnitKind
from codingspot.settings import Distinct, checked, shown
from codingspot.spot.aggregation import Aggregation, Trim, aggregator
from codingspot.spot.candidates import Candidates, Keys, Run
from codingspot.spot.requirements import Domains, Requirement
from codingspot.spot.selection import select_top

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

Recipe = Callable[..., Any]

OPTIONS: Mapping[str, Any] = {
    "per_tensor": bool,
    "languages": Annotated[tuple[str, ...], Field(min_length=1), Distinct] | None,
    "worst_first": bool,
}
"""What may be set for every recipe, beside its own parameters, and the types."""


def recipe_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's own among the parameters of a spot, without those of :data:`OPTIONS`."""
    return {name: value for name, value in parameters.items() if name not in OPTIONS}


def check_recipe(recipe: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's parameters, defaults filled in, and those of :data:`OPTIONS` that are given.

    Raises:
        StudyError: the recipe is unknown; a parameter is unknown, missing, or not what its type says.
    """
    found = RECIPES.check(recipe, recipe_parameters(parameters))
    for name in OPTIONS.keys() & parameters.keys():
        try:
            found[name] = checked(OPTIONS[name], parameters[name])
        except ValueError as error:
            raise StudyError(f"{name} is {shown(parameters[name])} ({error}); correct it") from None
    return found


@dataclass(frozen=True)
class TrainingCost:
    """What training a recipe takes.

    Attributes:
        shortlist, shortlist_percent: the recipe that selects from scores what training begins with, and the percentage
            of all parameters.
        sequences: of each kind of text in one step.
        steps: at most.
    """

    shortlist: str
    shortlist_percent: float
    sequences: int
    steps: int


@dataclass(frozen=True)
class Reading:
    """What a recipe that reads activations runs: its text forward, and backward where it says so.

    Where it reads ``attention`` probabilities, attention is computed eagerly, and they are in memory.
    ``tokens`` are those of each domain at most; None: all that the study scores; 0: none. They are read in each of
    ``rounds``. Trials then read ``trial_tokens`` of each domain forward, all of them together.
    """

    tokens: int | None = None
    backward: bool = False
    rounds: int = 1
    trial_tokens: int = 0
    attention: bool = False


@dataclass(frozen=True)
class RecipeTraits:
    """What a recipe is, for the stages beside it.

    Its label may name ``{general}``, the general domains, and ``{scores}``, what its parameter ``aggregation`` makes of
    the languages' scores.

    Attributes:
        contrast: it reads the general domains' scores too.
        ranks: it keeps the ranks of each domain's parameters, which takes memory.
        training: from the spot's largest dose and all the recipe's parameters, what training it takes (StudyError where
            they don't go together); None for a recipe that isn't trained.
        scored: it reads the scores of weights, by itself or for what its training begins with.
        folds: it reads nothing of the languages but the sum of their magnitudes, so that folded scores do as well.
        reading: what it runs to read activations; None for a recipe that doesn't. One that neither trains nor reads is
            computed from scores alone.
        unit: what it selects, weight by weight or whole.
        nested: a spot of a smaller k is a prefix of one of a larger; not where the order depends on k.
        fits: of the model, the scope and the doses: raises SelectionError or ModelError where the recipe can't be used
            on them, before anything is run.
        needs: what it needs of the domains.
        by: as a sentence begins that tells what was done by it; ``{label}`` and ``{estimator}`` may be named.
        one_domain: of one domain alone it orders by that domain's scores, whatever its kind.
        of_the_paper: it is what the Coding Spot paper selects by.
        in_shards: each of several ranks can read a part of the scores: what it makes of all of them, before it gives
            keys, it adds up over the ranks (:meth:`Candidates.sum`, or the selection's functions with their ``ranks``).
    """

    contrast: bool = False
    ranks: bool = False
    training: Callable[..., TrainingCost] | None = None
    scored: bool = True
    folds: bool = False
    reading: Reading | None = None
    unit: Literal["weight"] | UnitKind = "weight"
    nested: bool = True
    fits: Callable[[PreTrainedModel, str, Sequence[float]], None] | None = None
    needs: Requirement | None = None
    by: str = ""
    one_domain: bool = False
    of_the_paper: bool = False
    in_shards: bool = False

    @property
    def from_scores(self) -> bool:
        """Whether the recipe is computed from scores alone."""
        return self.training is None and self.reading is None


RECIPES: Registry[Recipe, RecipeTraits] = Registry("recipe", RecipeTraits())


def _sum_traits(*, aggregation: Aggregation, trim: float) -> RecipeTraits:
    del trim
    summed = aggregation == "sum"
    by = "By the {label} ({estimator})"
    return RecipeTraits(folds=summed, by=by, one_domain=True, of_the_paper=summed, in_shards=True)


@RECIPES.register("sum", label="{scores}", traits=_sum_traits)
def aggregated(candidates: Candidates, *, aggregation: Aggregation = "sum", trim: Trim = 0.1) -> Keys:
    """The languages' magnitudes, aggregated; by default their sum, as in the Coding Spot paper.

    ``token-weighted`` weights each language by its share of the predicted tokens; ``median`` and ``trimmed-mean`` are
    robust to one language that dominates. The trimmed mean leaves out floor(``trim`` * languages) at either end.
    """
    aggregate = aggregator(candidates, aggregation, trim)
    return lambda run: (aggregate(run), None)


def _enough_languages(_name: str, domains: Domains, *, at_least: int | None) -> None:
    if at_least is not None and not 1 <= at_least <= len(domains.code):
        raise SelectionError(f"at_least is {at_least}; it must be between 1 and {len(domains.code)}, the languages")


@RECIPES.register(
    "consensus",
    label="consensus of the languages",
    traits=RecipeTraits(ranks=True, needs=_enough_languages, by="By consensus of the languages", in_shards=True),
)
def consensus(candidates: Candidates, *, at_least: int | None = None) -> Keys:
    """Orders by the ``at_least``-th best of the languages' ranks.

    A parameter with key -r is among the best r + 1 of at least ``at_least`` languages, by default of all of them: the
    Code Region's "consistently important". A rank is the number of parameters in scope with a larger magnitude. Ranks
    are taken as deep as is needed to select what is wanted: whatever lies deeper shares the lowest key. Keys tell apart
    ranks up to 2^24, and larger ones to 24 significant bits.
    """
    needed = len(candidates.code) if at_least is None else at_least
    depth = candidates.wanted
    while True:
        keys = _consensus_to_depth(candidates, needed, depth)
        if depth == candidates.total or _ranked_above(candidates, keys, depth) >= candidates.wanted:
            return keys
        depth = min(candidates.total, 2 * depth)


def _consensus_to_depth(candidates: Candidates, needed: int, depth: int) -> Keys:
    # Ascending negated magnitudes of each language's top: where a value would be inserted is its rank.
    ranked = candidates.ranks
    tops = {
        domain: ranked.from_first(select_top(candidates.magnitudes(domain), depth, ranked).keys, depth).neg()
        for domain in candidates.code
    }

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], None]:
        ranks = torch.full((len(tops), run.stop - run.start), depth, dtype=torch.int64)
        for row, (domain, top) in zip(ranks, tops.items(), strict=True):
            negated = run.magnitude(domain).neg()
            inside = (negated <= top[-1]).nonzero().squeeze(1)
            row[inside] = torch.searchsorted(top, negated[inside])
        return ranks.kthvalue(needed, dim=0).values.neg().float(), None

    return keys


def _ranked_above(candidates: Candidates, keys: Keys, depth: int) -> int:
    return int(candidates.sum(lambda run: (keys(run)[0] > -depth).sum()))
