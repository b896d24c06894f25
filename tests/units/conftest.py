import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))  # for architectures.py

from architectures import VOCABULARY, make_model
from unit_texts import packed

from codingspot import units as units  # registers its recipe and controls
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import LoadedModel, unique_parameters
from codingspot.spot import TrainingInput

KINDS = {"go": "code", "rust": "code", "english": "general", "stories": "general"}


@pytest.fixture
def make_given(tmp_path) -> Callable[..., TrainingInput]:
    """What a recipe that runs the model is given: a tiny random model, random scores, two kinds of random text."""

    def make(name: str = "llama", scope: str = "all", k: float = 10.0, **options) -> TrainingInput:
        loaded = LoadedModel(make_model(name, tied=False), None, "tiny")  # type: ignore[arg-type]
        shapes = {n: weight.shape for n, weight in unique_parameters(loaded.model).items()}

        def domain(seed: int, name: str) -> NewDomainScores:
            generator = torch.Generator().manual_seed(seed)
            scores = {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}
            return NewDomainScores(name, KINDS[name], scores)  # type: ignore[arg-type]

        store = ScoreStore.write(
            tmp_path / name,
            [domain(seed, name) for seed, name in enumerate(KINDS)],
            provenance={"model": {"id": "tiny", "fingerprint": loaded.fingerprint}},
            force=True,
        )
        half = VOCABULARY // 2
        code = {name: packed(name, 0, half, seed) for seed, name in enumerate(("go", "rust"))}
        general = {name: packed(name, half, VOCABULARY, 10 + seed) for seed, name in enumerate(("english", "stories"))}
        return TrainingInput(loaded, store, code, general, scope, k, **options)

    return make
