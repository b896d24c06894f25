"""What a GPU gives, beside what the CPU gives: scores, edits, outcomes and losses of the shipped model."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from codingspot.ablation import EDITS, edited
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.importance import ESTIMATORS, FineTune, ScoreStore, score
from codingspot.models import LoadedModel, ParameterLayout, fingerprint, load_model
from codingspot.testbed.world import world_corpus
from codingspot.units import find_units_spot

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CORPUS = world_corpus(10, seed=0, languages=("go",))
SETTINGS = {"sequence_length": 64, "token_budget": 512, "micro_batch_tokens": 128}


@cache
def loaded(device: str) -> LoadedModel:
    return load_model("testbed", device=device)


def both(function) -> tuple:
    return tuple(function(loaded(device)) for device in ("cpu", DEVICE))


def close(cpu: ScoreStore, cuda: ScoreStore, tolerance: float = 1e-3) -> None:
    for domain in cpu.domains:
        for name in cpu.layout.names:
            expected, found = cpu.tensor(domain.name, name), cuda.tensor(domain.name, name)
            assert (found - expected).norm() <= tolerance * expected.norm(), (domain.name, name)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_scores(name, tmp_path) -> None:
    close(*both(lambda model: score(model, CORPUS, tmp_path / model.device.type, estimator=name, **SETTINGS)))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"unit": "head", "score": "pls"},
        {"unit": "group", "score": "write"},
        {"unit": "head", "score": "attention_gradient"},
        {"unit": "group", "score": "rollout"},
    ],
)
def test_scores_of_units(parameters) -> None:
    sizes = {"sequence_length": 64, "token_budget": 512, "max_k_percent": 5}
    tables = both(lambda model: find_units_spot(model, CORPUS, **sizes, **parameters).units)
    cpu, cuda = (table.sort_values(["layer", "index"])[["code", "general"]].to_numpy() for table in tables)
    assert abs(cuda - cpu).max() <= 1e-3 * abs(cpu).max()


@pytest.mark.parametrize(
    ("estimator", "optimizer"),
    [("taylor", "sgd"), ("fisher", "adafactor"), ("wanda", "adamw"), ("integrated_gradients", "sgd")],
)
def test_scores_after_fine_tuning(estimator, optimizer, tmp_path) -> None:
    tuning = FineTune(steps=2, learning_rate=1e-5, optimizer=optimizer, sequences_per_step=2, weights="original")

    def scored(model: LoadedModel) -> ScoreStore:
        before = fingerprint(model.model)
        store = score(model, CORPUS, tmp_path / model.device.type, estimator=estimator, finetune=tuning, **SETTINGS)
        assert fingerprint(model.model) == before
        return store

    close(*both(scored), tolerance=1e-2)


@pytest.mark.parametrize("name", sorted(EDITS))
def test_edits(name) -> None:
    parameters = {"alpha": 0.5} if name == "scale" else {}

    def weights(model: LoadedModel) -> list[torch.Tensor]:
        before, total = fingerprint(model.model), ParameterLayout.of(model.model).total
        positions = torch.randperm(total, generator=torch.Generator().manual_seed(0))[: total // 100]
        with edited(model.model, positions[:1000], name, **parameters) as editor:
            editor.apply(positions.to(model.device), name, **parameters)
            found = [parameter.detach().cpu().clone() for parameter in model.model.parameters()]
        assert fingerprint(model.model) == before
        return found

    for cpu, cuda in zip(*both(weights), strict=True):
        torch.testing.assert_close(cuda, cpu)


def test_outcomes_texts_and_losses() -> None:
    specs = [TaskSpec("testbed_events", limit=8), TaskSpec("testbed_arithmetic", limit=4)]

    def evaluated(model: LoadedModel):
        return Evaluator(ModelAdapter(model.model, model.tokenizer), load_tasks(specs), CORPUS.domains).evaluate("x")

    cpu, cuda = both(evaluated)
    pd.testing.assert_frame_equal(cpu.outcomes, cuda.outcomes)
    by_class = [np.stack(results.losses["class_losses"].to_list()) for results in (cpu, cuda)]
    np.testing.assert_allclose(*by_class, rtol=1e-4, atol=1e-4)
    whole = [results.losses.drop(columns="class_losses") for results in (cpu, cuda)]
    pd.testing.assert_frame_equal(*whole, rtol=1e-4)
