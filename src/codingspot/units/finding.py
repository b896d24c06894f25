"""Finding a spot of whole units in a model and a corpus, without scores of weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from codingspot.corpus import Corpus
from codingspot.errors import CorpusError
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel
from codingspot.spot import RECIPES, MeasuredSpot, TrainingInput, measure_spot, training_text


def find_units_spot(
    loaded: LoadedModel,
    corpus: Corpus,
    *,
    max_k_percent: float,
    recipe: str = "units",
    scope: str = "blocks",
    token_budget: int = 8_192,
    sequence_length: int = 256,
    seed: int = 0,
    draws: int = 1,
    store: ScoreStore | None = None,
    **parameters: Any,
) -> MeasuredSpot:
    """The best whole units of at most ``max_k_percent`` percent of all parameters, by what they do on a corpus.

    The domains that aren't held out are read, ``token_budget`` tokens of each language and as many of general text in
    all, packed as :func:`codingspot.importance.score` does. ``parameters`` are the recipe's
    (:func:`codingspot.units.recipe.units`): ``unit``, ``score``, ``contrast`` and others. ``store`` is needed for the
    score ``weights`` alone.
    With several ``draws``, what disjoint parts of the text find by themselves is kept
    (:func:`codingspot.units.unit_reliability`).

    Raises:
        CorpusError: no language is left to read, or a domain is too short.
        SelectionError: the recipe needs a general domain; the scope holds no such unit, or k is less than one has.
        ModelError: the model's units can't be told apart.
        StudyError: a parameter is unknown or has a wrong value.
    """
    fits = RECIPES.traits(recipe, parameters).fits
    if fits is not None:
        fits(loaded.model, scope, [max_k_percent])
    if not any(domain.kind == "code" for domain in corpus.scored):
        raise CorpusError(f"no language of corpus {corpus.name!r} is left to read; hold fewer out, or add one")
    code, general = training_text(corpus, loaded, sequence_length=sequence_length, token_budget=token_budget, seed=seed)
    given = TrainingInput(loaded, store, code, general, scope, max_k_percent, draws=draws)
    found = measure_spot(given, recipe=recipe, **parameters)
    read = {"name": corpus.name, "fingerprint": corpus.fingerprint}
    return replace(found, spot=replace(found.spot, metadata={**found.spot.metadata, "corpus": read}))
