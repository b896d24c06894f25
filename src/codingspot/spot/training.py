"""Recipes that run the model, trained ones and those that read activations: what they are given, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import Int64
from torch import Tensor

from codingspot.corpus import Corpus, PackedTokens, pack
from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel
from codingspot.spot.finding import find_spot, made_from
from codingspot.spot.recipes import RECIPES, TrainingCost
from codingspot.spot.requirements import Domains, require
from codingspot.spot.spot import Spot

if TYPE_CHECKING:  # it takes seconds to load
    import pandas as pd


@dataclass(frozen=True)
class TrainedSpot:
    """A spot as long as its largest dose, the shortlist it was chosen from, and the curve of its training.

    The curve's columns are the recipe's own.
    """

    spot: Spot
    shortlist: Spot
    curve: pd.DataFrame


@dataclass(frozen=True)
class MeasuredSpot:
    """A spot found by reading activations, and its units, where it is of whole ones.

    ``units`` has a row a unit that was ranked, best first: ``rank`` (from 1), ``layer``, ``expert``, ``index``,
    ``parameters``, ``code`` and ``general`` (its scores on the two kinds of text; the latter may be missing), ``key``
    (what it was ranked by), ``effect`` (what zeroing it by itself did, where that was measured), and ``selected``.

    ``drawn`` has what disjoint draws of the text find by themselves, a row a unit that one selects: ``split``
    (``draws``, or ``halves`` for draws put together), ``draw``, ``rank``, ``number`` (the unit's) and ``parameters``;
    None where there is one draw, or where an order takes more passes than one.
    """

    spot: Spot
    units: pd.DataFrame | None = None
    drawn: pd.DataFrame | None = None


@dataclass(frozen=True)
class TrainingInput:
    """What a recipe that runs the model may use.

    Attributes:
        loaded: the model; its weights are put back bit for bit.
        store: scores of the same domains as the text; None where none were made.
        code, general: packed sequences by domain.
        scope: where the spot is to be.
        max_k_percent: its length, as a percentage of all the model's parameters.
        without: positions that are left out.
        worst_first: the recipe's order is to be turned around.
        draws: disjoint parts of the text, whose own spots are wanted too where that takes no further pass.
        measured: what was read on this text before, by whatever tells it apart; recipes may add to it.
        stage: hears in a few words what is being done, where that runs the model.
    """

    loaded: LoadedModel
    store: ScoreStore | None
    code: Mapping[str, PackedTokens]
    general: Mapping[str, PackedTokens]
    scope: str
    max_k_percent: float
    without: Int64[Tensor, " n"] | None = None
    worst_first: bool = False
    draws: int = 1
    measured: MutableMapping[Any, Any] = field(default_factory=dict)
    stage: Callable[[str], None] = lambda _text: None

    @property
    def scores(self) -> ScoreStore:
        """The scores of weights.

        Raises:
            SelectionError: none were made.
        """
        if self.store is None:
            raise SelectionError("this takes the scores of weights; score the model first and give the score store")
        return self.store

    @property
    def provenance(self) -> dict[str, Any]:
        """What a spot's metadata say of what it was found in."""
        if self.store is not None:
            return made_from(self.store)
        loaded = self.loaded
        return {"model": {"id": loaded.id, "revision": loaded.revision, "fingerprint": loaded.fingerprint}}

    def shortlist(self, recipe: str, percent: float) -> Spot:
        """The best ``percent`` percent of all parameters by a recipe over the scores of this text's domains.

        Raises:
            SelectionError: the scope has too few parameters.
            ArtefactError: a domain was not scored.
        """
        store = self.scores.of(self.code, self.general)
        return find_spot(store, recipe=recipe, scope=self.scope, max_k_percent=percent, without=self.without)


def training_text(
    corpus: Corpus,
    loaded: LoadedModel,
    *,
    sequence_length: int,
    token_budget: int,
    seed: int,
) -> tuple[dict[str, PackedTokens], dict[str, PackedTokens]]:
    """Packed sequences of the scored code and general domains; the general ones get as much text in all as code does.

    Raises:
        CorpusError: a domain is too short.
    """
    sides = [[domain for domain in corpus.scored if domain.kind == kind] for kind in ("code", "general")]
    times = max(1, len(sides[0]) // max(1, len(sides[1])))
    code, general = (
        {
            domain.name: pack(domain, loaded.tokenizer, sequence_length=sequence_length, token_budget=budget, seed=seed)
            for domain in domains
        }
        for domains, budget in zip(sides, (token_budget, token_budget * times), strict=True)
    )
    return code, general


def training_cost(recipe: str, parameters: Mapping[str, Any], max_k_percent: float) -> TrainingCost | None:
    """What training a recipe takes for a spot of that size; None for one that is computed from scores alone.

    Raises:
        StudyError: the recipe or a parameter is unknown, or a parameter has a wrong value.
    """
    cost = RECIPES.traits(recipe, parameters).training
    return None if cost is None else cost(max_k_percent, **RECIPES.check(recipe, parameters))


def train_spot(given: TrainingInput, *, recipe: str, **parameters: Any) -> TrainedSpot:
    """The spot of a trained recipe.

    Raises:
        SelectionError: the recipe isn't trained (:func:`codingspot.spot.find_spot` computes it), or what it refuses.
        StudyError: the recipe or a parameter is unknown, or a parameter has a wrong value.
    """
    if RECIPES.traits(recipe, parameters).training is None:
        raise SelectionError(f"recipe {recipe!r} is computed from scores, not trained; use find_spot")
    trained: TrainedSpot = RECIPES.bind(recipe, parameters)(given)
    return trained


def measure_spot(given: TrainingInput, *, recipe: str, **parameters: Any) -> MeasuredSpot:
    """The spot of a recipe that reads activations.

    Raises:
        SelectionError: the recipe doesn't read any (:func:`codingspot.spot.find_spot` or :func:`train_spot` is for it),
            or what it refuses.
        StudyError: the recipe or a parameter is unknown, or a parameter has a wrong value.
    """
    traits = RECIPES.traits(recipe, parameters)
    if traits.reading is None:
        raise SelectionError(f"recipe {recipe!r} doesn't read activations; use find_spot or train_spot")
    require(traits.needs, recipe, Domains(tuple(given.code), tuple(given.general)), **RECIPES.check(recipe, parameters))
    measured: MeasuredSpot = RECIPES.bind(recipe, parameters)(given)
    return measured
