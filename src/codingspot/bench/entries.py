"""The rows of the benchmark: every pair of an estimator and a recipe, and every registered method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from codingspot import learning as learning  # registers its recipe
from codingspot import units as units  # registers its recipe and controls
from codingspot.bench.methods import LARGEST_K, METHODS, SCOPE, BenchInput
from codingspot.importance import DEFAULT_ESTIMATOR, ESTIMATORS, ScoreStore
from codingspot.spot import RECIPES, measure_spot, train_spot
from codingspot.spot.candidates import Candidates, Keys, candidates

Entry = tuple[str, str, Callable[[BenchInput], Tensor]]
"""Estimator, where there is one, recipe or method with the settings that aren't its defaults, and the method itself."""


def all_methods() -> Iterator[Entry]:
    """Every pair of an estimator and a recipe, then every registered method, and its variants, under its own name.

    Trained recipes begin with the scores of the default estimator alone; those that read activations take none. One
    that reads both is a method of the same name, whose settings say which scores.
    """
    yield from _methods(quick=False)


def default_methods() -> Iterator[Entry]:
    """Those of :func:`all_methods` that are quick and can tell something.

    Contrasts of scores that don't come from the text, the same for all domains or drawn at random, say nothing; of a
    registered method its traits say whether it is quick, and its variants are left out.
    """
    yield from _methods(quick=True)


def _methods(*, quick: bool) -> Iterator[Entry]:
    traits = {recipe: RECIPES.traits(recipe) for recipe in RECIPES}
    for estimator in ESTIMATORS:
        from_text = ESTIMATORS.traits(estimator).from_text
        for recipe in RECIPES:
            if traits[recipe].from_scores and (from_text or not (quick and traits[recipe].contrast)):
                yield estimator, recipe, partial(ranked, estimator=estimator, recipe=recipe)
    for recipe in RECIPES:
        if traits[recipe].training is not None:
            yield DEFAULT_ESTIMATOR, recipe, partial(trained_ranking, recipe=recipe)
        if traits[recipe].reading is not None and recipe not in METHODS:
            yield "", recipe, partial(measured_ranking, recipe=recipe)
    for name in METHODS:
        about = METHODS.traits(name)
        if about.quick or not quick:
            yield "", name, METHODS.bind(name, {})
        for settings in () if quick else about.variants:
            told = " ".join(f"{key}={value}" for key, value in settings.items())
            yield "", f"{name} {told}", METHODS.bind(name, settings)


def ranked(bench: BenchInput, *, estimator: str, recipe: str) -> Float32[Tensor, " parameters"]:
    """The keys of a recipe over an estimator's scores."""
    return all_keys(bench.scores(estimator), RECIPES.bind(recipe, {}))


def all_keys(store: ScoreStore, recipe: Callable[[Candidates], Keys]) -> Float32[Tensor, " parameters"]:
    """The keys of what orders parameters by their scores."""
    layout = store.layout
    found = candidates(store, SCOPE, max(1, round(LARGEST_K / 100 * layout.total)))
    keys = torch.full((layout.total,), -torch.inf)
    for chunk in found.source(recipe(found))():
        values = chunk.keys if chunk.eligible is None else chunk.keys.masked_fill(~chunk.eligible, -torch.inf)
        keys[chunk.start : chunk.start + len(values)] = values
    return keys


def trained_ranking(bench: BenchInput, *, recipe: str) -> Float32[Tensor, " parameters"]:
    """A trained recipe's order; below it the rest of the shortlist it began with, in its own."""
    given = bench.given(LARGEST_K, scored=True)
    seeded = {"seed": bench.seed} if "seed" in RECIPES.parameters(recipe) else {}
    trained = train_spot(given, recipe=recipe, **seeded)
    shortlist = trained.shortlist
    keys = torch.full((shortlist.layout.total,), -torch.inf)
    keys[shortlist.positions] = -torch.arange(len(shortlist), dtype=torch.float32) - len(shortlist)
    keys[trained.spot.positions] = -torch.arange(len(trained.spot), dtype=torch.float32)
    return keys


def measured_ranking(bench: BenchInput, *, recipe: str, **parameters: Any) -> Float32[Tensor, " parameters"]:
    """The order of a recipe that reads activations, of all whole units in the blocks; a unit's weights are alike."""
    traits = RECIPES.traits(recipe, parameters)
    spot = measure_spot(bench.given(scored=traits.scored), recipe=recipe, **parameters).spot
    keys = torch.full((spot.layout.total,), -torch.inf)
    sizes = torch.ones(len(spot), dtype=torch.int64) if spot.units is None else spot.units.sizes
    keys[spot.positions] = -torch.arange(len(sizes), dtype=torch.float32).repeat_interleave(sizes)
    return keys
