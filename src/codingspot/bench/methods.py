"""Localisation methods under test: each ranks the parameters of the transformer blocks by how much they are for code.

A method is a registered function from :class:`BenchInput` to one float32 key a parameter of the whole model, higher is
more for code; minus infinity leaves a parameter out. A third party's method joins by registering one:

    from codingspot.bench import METHODS, BenchInput

    @METHODS.register("mine")
    def mine(bench: BenchInput, *, sharpness: float = 1.0) -> Tensor: ...

Keyword-only parameters are its settings; its traits may name others than the defaults under which it is run, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float32
from torch import Tensor

from codingspot.bench.cost import Cost, measured
from codingspot.corpus import Corpus, PackedTokens
from codingspot.files import digest
from codingspot.importance import DEFAULT_ESTIMATOR, ScoreStore, score
from codingspot.models import LoadedModel, Registry
from codingspot.spot import TrainingInput, training_text

SCOPE = "blocks"
LARGEST_K = 1.0
"""The largest dose that is ablated, in percent of all parameters."""

Texts = dict[str, PackedTokens]


@dataclass
class BenchInput:
    """What a method may use: the model, text of several languages (Python held out) and of general domains, a folder.

    ``token_budget`` is for each domain. Scores of an estimator are made once and shared by the methods that use them:
    ``cost`` has what each store took by its name, and ``asked`` the names that methods asked for, to be cleared before
    a method whose cost is wanted.
    """

    loaded: LoadedModel
    corpus: Corpus
    folder: Path
    token_budget: int
    sequence_length: int = 256
    seed: int = 0
    cost: dict[str, Cost] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def scores(self, estimator: str, **parameters: Any) -> ScoreStore:
        """The score store of an estimator under these parameters, made when first asked for."""
        name = "-".join([estimator, *([digest(repr(sorted(parameters.items())))[:8]] if parameters else [])])
        self.asked.add(name)
        folder = self.folder / name
        if (folder / "manifest.json").exists() and name in self.cost:
            return ScoreStore.open(folder)
        with measured(self.loaded.model) as cost:
            store = score(
                self.loaded,
                self.corpus,
                folder,
                estimator=estimator,
                token_budget=self.token_budget,
                sequence_length=self.sequence_length,
                seed=self.seed,
                force=True,
                **parameters,
            )
        self.cost[name] = cost
        return store

    @cached_property
    def texts(self) -> tuple[Texts, Texts]:
        """Packed sequences of code and of general text by domain, as much of the one as of the other in all."""
        return training_text(
            self.corpus,
            self.loaded,
            sequence_length=self.sequence_length,
            token_budget=self.token_budget,
            seed=self.seed,
        )

    def given(self, max_k_percent: float = 100.0, *, scored: bool = False) -> TrainingInput:
        """What a recipe that runs the model gets; ``scored``: with the default estimator's scores."""
        code, general = self.texts
        store = self.scores(DEFAULT_ESTIMATOR) if scored else None
        return TrainingInput(self.loaded, store, code, general, SCOPE, max_k_percent)


@dataclass(frozen=True)
class MethodTraits:
    """What a method is, for the benchmark that runs it.

    Attributes:
        quick: it is run where not all methods are asked for.
        variants: other settings than its defaults under which it is run where all are.
    """

    quick: bool = True
    variants: tuple[Mapping[str, Any], ...] = ()


Method = Callable[..., Float32[Tensor, " parameters"]]
"""Called with a :class:`BenchInput`, and its settings."""

METHODS: Registry[Method, MethodTraits] = Registry("method", MethodTraits())
