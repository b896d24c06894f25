"""Localisation methods under test: each ranks the parameters of the transformer blocks by how much they are for code.

A method is a registered function from :class:`BenchInput` to one float32 key a parameter of the whole model, higher is
more for code; minus infinity leaves a parameter out. A third party's method joins by registering one:

    from codingspot.bench import METHODS

    @METHODS.register("mine")
    def mine(bench: BenchInput) -> Tensor: ...
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from codingspot import learning as learning  # registers its recipe
from codingspot import units as units  # registers its recipe and controls
from codingspot.corpus import Corpus
from codingspot.importance import DEFAULT_ESTIMATOR, ESTIMATORS, ScoreStore, score
from codingspot.models import LoadedModel, Registry
from codingspot.spot import RECIPES, TrainingInput, measure_spot, train_spot, training_text
from codingspot.spot.candidates import candidates

SCOPE = "blocks"
LARGEST_K = 1.0
"""The largest dose that is ablated, in percent of all parameters."""


@dataclass
class BenchInput:
    """What a method may use: the model, text of several languages (Python held out) and of general domains, a folder.

    ``token_budget`` is for each domain. Scores of an estimator are made once and shared by the methods that use them;
    ``cost`` has the seconds and tokens that each took.
    """

    loaded: LoadedModel
    corpus: Corpus
    folder: Path
    token_budget: int
    sequence_length: int = 256
    seed: int = 0
    cost: dict[str, tuple[float, int]] = field(default_factory=dict)

    def scores(self, estimator: str) -> ScoreStore:
        """The score store of an estimator with its default parameters, made when first asked for."""
        folder = self.folder / estimator
        if (folder / "manifest.json").exists() and estimator in self.cost:
            return ScoreStore.open(folder)
        started = time.perf_counter()
        store = score(
            self.loaded,
            self.corpus,
            folder,
            estimator=estimator,
            token_budget=self.token_budget,
            sequence_length=self.sequence_length,
            seed=self.seed,
            force=True,
        )
        tokens = sum(int(domain.details["tokens"]) for domain in store.domains)
        self.cost[estimator] = (time.perf_counter() - started, tokens)
        return store


Method = Callable[[BenchInput], Tensor]

METHODS: Registry[Method, None] = Registry("method", None)


def default_methods() -> Iterator[tuple[str, str, Method]]:
    """Estimator, recipe and method of every pair there is, then every registered method under its own name.

    Trained recipes begin with the scores of the default estimator alone; those that read activations take none.
    """
    traits = {recipe: RECIPES.traits(recipe) for recipe in RECIPES}
    for estimator in ESTIMATORS:
        for recipe in RECIPES:
            if traits[recipe].from_scores:
                yield estimator, recipe, partial(ranked, estimator=estimator, recipe=recipe)
    for recipe in RECIPES:
        if traits[recipe].training is not None:
            yield DEFAULT_ESTIMATOR, recipe, partial(trained_ranking, recipe=recipe)
        if traits[recipe].reading is not None:
            yield "", recipe, partial(measured_ranking, recipe=recipe)
    for name in METHODS:
        yield "", name, METHODS[name]


def ranked(bench: BenchInput, *, estimator: str, recipe: str) -> Float32[Tensor, " parameters"]:
    """The keys of a recipe over an estimator's scores."""
    store = bench.scores(estimator)
    layout = store.layout
    found = candidates(store, SCOPE, max(1, round(LARGEST_K / 100 * layout.total)))
    keys = torch.full((layout.total,), -torch.inf)
    for chunk in found.source(RECIPES.bind(recipe, {})(found))():
        values = chunk.keys if chunk.eligible is None else chunk.keys.masked_fill(~chunk.eligible, -torch.inf)
        keys[chunk.start : chunk.start + len(values)] = values
    return keys


def trained_ranking(bench: BenchInput, *, recipe: str) -> Float32[Tensor, " parameters"]:
    """A trained recipe's order; below it the rest of the shortlist it began with, in its own."""
    given = _given(bench, LARGEST_K)
    seeded = {"seed": bench.seed} if "seed" in RECIPES.parameters(recipe) else {}
    trained = train_spot(given, recipe=recipe, **seeded)
    shortlist = trained.shortlist
    keys = torch.full((shortlist.layout.total,), -torch.inf)
    keys[shortlist.positions] = -torch.arange(len(shortlist), dtype=torch.float32) - len(shortlist)
    keys[trained.spot.positions] = -torch.arange(len(trained.spot), dtype=torch.float32)
    return keys


def measured_ranking(bench: BenchInput, *, recipe: str, **parameters: Any) -> Float32[Tensor, " parameters"]:
    """The order of a recipe that reads activations, of all whole units in the blocks; a unit's weights are alike."""
    given = _given(bench, 100.0)
    spot = measure_spot(given, recipe=recipe, **parameters).spot
    keys = torch.full((spot.layout.total,), -torch.inf)
    sizes = torch.ones(len(spot), dtype=torch.int64) if spot.units is None else spot.units.sizes
    keys[spot.positions] = -torch.arange(len(sizes), dtype=torch.float32).repeat_interleave(sizes)
    bench.cost[""] = (0.0, sum(text.tokens for text in (*given.code.values(), *given.general.values())))
    return keys


@METHODS.register("heads_by_pls")
def heads_by_pls(bench: BenchInput) -> Float32[Tensor, " parameters"]:
    """Attention heads by absolute attribution, code minus general text (arXiv 2512.19980)."""
    return measured_ranking(bench, recipe="units", unit="head", score="pls", contrast="difference")


def _given(bench: BenchInput, max_k_percent: float) -> TrainingInput:
    code, general = training_text(
        bench.corpus,
        bench.loaded,
        sequence_length=bench.sequence_length,
        token_budget=bench.token_budget,
        seed=bench.seed,
    )
    return TrainingInput(bench.loaded, bench.scores(DEFAULT_ESTIMATOR), code, general, SCOPE, max_k_percent)
