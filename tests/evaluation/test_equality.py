"""On the real benchmarks, the adapter gives what lm-eval's own Hugging Face model gives over the shipped model."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from lm_eval.models.huggingface import HFLM

from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.models import LoadedModel, load_model
from codingspot.testbed.shipped import shipped_model

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"

logging.getLogger("lm_eval").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(shipped_model())


@pytest.fixture(scope="module")
def adapter(loaded: LoadedModel) -> ModelAdapter:
    return ModelAdapter(loaded.model, loaded.tokenizer)


@pytest.fixture(scope="module")
def hflm(loaded: LoadedModel) -> HFLM:
    return HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=4, logits_cache=False)


def _task(name: str, subsample: int, few_shot: int, max_new_tokens: int | None = None) -> EvaluationTask:
    folder = SHARED / name.split("_")[0]
    if not folder.is_dir():
        pytest.skip(f"the rows of {name} are not in ../shared/data")
    spec = TaskSpec(name, data=folder, subsample=subsample, few_shot=few_shot, max_new_tokens=max_new_tokens)
    return load_tasks([spec])[0]


@pytest.mark.parametrize(("name", "few_shot"), [("hellaswag", 0), ("winogrande", 0), ("mmlu_virology", 2)])
def test_log_likelihoods_and_choices_are_equal(name: str, few_shot: int, adapter: ModelAdapter, hflm: HFLM) -> None:
    task = _task(name, 16, few_shot)
    ours = adapter.loglikelihood(task.requests)
    theirs = hflm.loglikelihood(task.requests, disable_tqdm=True)
    assert [score for score, _ in ours] == pytest.approx([score for score, _ in theirs], abs=1e-4, rel=5e-7)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
    assert task.outcomes(ours) == task.outcomes(theirs)


@pytest.mark.parametrize("few_shot", [0, 1])
def test_greedy_texts_are_equal(few_shot: int, adapter: ModelAdapter, hflm: HFLM) -> None:
    task = _task("gsm8k", 6, few_shot, max_new_tokens=48)
    assert adapter.generate_until(task.requests) == hflm.generate_until(task.requests, disable_tqdm=True)
