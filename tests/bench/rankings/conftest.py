import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))  # for architectures.py
sys.path.insert(0, str(Path(__file__).parents[2] / "units"))  # for unit_texts.py

from architectures import VOCABULARY, make_model
from unit_texts import packed

from codingspot.bench import BenchInput
from codingspot.bench.cost import Cost
from codingspot.corpus import Corpus, Domain
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import LoadedModel, unique_parameters


@pytest.fixture
def bench(tmp_path) -> BenchInput:
    """A tiny random model, two languages and English with ten tokens a sequence."""
    loaded = LoadedModel(make_model("llama", tied=False), None, "tiny")  # type: ignore[arg-type]
    made = BenchInput(
        loaded, Corpus("tiny", (Domain("go", "code", ("x",)),)), tmp_path, token_budget=60, sequence_length=10
    )
    half = VOCABULARY // 2
    made.texts = (
        {name: packed(name, 0, half, seed) for seed, name in enumerate(("go", "rust"))},
        {"english": packed("english", half, VOCABULARY, 10)},
    )
    return made


@pytest.fixture
def scored(bench) -> BenchInput:
    """The same with random scores, whatever estimator is asked for."""
    shapes = {name: weight.shape for name, weight in unique_parameters(bench.loaded.model).items()}

    def domains() -> Iterator[NewDomainScores]:
        for seed, name in enumerate(("go", "rust", "english")):
            generator = torch.Generator().manual_seed(seed)
            scores = {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}
            yield NewDomainScores(name, "general" if name == "english" else "code", scores)

    store = ScoreStore.write(bench.folder / "store", domains())
    bench.scores = lambda _estimator, **_parameters: store
    bench.cost = {"store": Cost()}
    return bench
