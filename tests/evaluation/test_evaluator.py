"""Evaluation of a model whose weights are edited between cells."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.corpus import Domain
from codingspot.errors import NonFiniteError, SandboxError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator, sandbox_for
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.sandbox import Sandbox, bubblewrap

_DOMAINS = [Domain("english", "general", ("Ana has 12 apples.", "The teacher."))]
_SPECS = [TaskSpec("testbed_events", limit=3), TaskSpec("testbed_arithmetic", limit=2)]


@pytest.fixture
def evaluator(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Evaluator:
    return Evaluator(ModelAdapter(llama, tokenizer), load_tasks(_SPECS), _DOMAINS)


def test_every_item_and_document_has_a_row(evaluator: Evaluator) -> None:
    results = evaluator.evaluate("original", require_finite=True)
    assert list(zip(results.outcomes["task"], results.outcomes["item"], strict=True)) == [
        ("testbed_events", 0),
        ("testbed_events", 1),
        ("testbed_events", 2),
        ("testbed_arithmetic", 0),
        ("testbed_arithmetic", 1),
    ]
    assert list(results.losses["document"]) == [0, 1]
    assert results.cells() == ["original"]


def test_a_second_evaluation_gives_the_same_bytes(evaluator: Evaluator, tmp_path: Path) -> None:
    for name in ("first", "second"):
        evaluator.evaluate("original").write(tmp_path / name)
    for file in ("results.parquet", "losses.parquet"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_broken_model_is_evaluated_as_wrong(evaluator: Evaluator, llama: LlamaForCausalLM) -> None:
    with torch.no_grad():
        llama.model.layers[0].mlp.down_proj.weight.fill_(torch.nan)
    results = evaluator.evaluate("broken")
    assert set(results.outcomes["outcome"]) == {0.0}
    assert set(results.outcomes["verdict"]) == {"non-finite"}
    assert set(results.losses["loss"]) == {math.inf}


def test_a_broken_original_is_refused(evaluator: Evaluator, llama: LlamaForCausalLM) -> None:
    with torch.no_grad():
        llama.lm_head.weight.mul_(1e30)
        llama.model.norm.weight.mul_(1e30)  # every weight is a number, but no logit
    with pytest.raises(NonFiniteError, match="item 0 of testbed_events"):
        evaluator.evaluate("original", require_finite=True)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_numbers_are_refused_before_anything_is_evaluated(
    value: float, evaluator: Evaluator, llama: LlamaForCausalLM
) -> None:
    with torch.no_grad():
        llama.model.layers[1].mlp.up_proj.weight[3, 5] = value
    passes = []
    llama.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(NonFiniteError, match=r"weight model\.layers\.1\.mlp\.up_proj\.weight holds NaN or infinity"):
        evaluator.evaluate("original", require_finite=True)
    assert not passes


def test_generated_programs_run_in_the_sandbox(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    try:
        sandbox = Sandbox(workers=1)
    except SandboxError as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    with sandbox:
        tasks = load_tasks([TaskSpec("testbed_humaneval", limit=2)])
        evaluator = Evaluator(ModelAdapter(llama, tokenizer), tasks, sandbox=sandbox)
        results = evaluator.evaluate("original")
    assert len(results.outcomes) == 2
    assert all(results.outcomes["verdict"])
    assert set(results.outcomes["outcome"]) == {0.0}
    assert results.losses.empty


def test_a_missing_package_is_named_before_the_model_runs(
    llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        sandbox = Sandbox(workers=1)
    except SandboxError as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    tasks = load_tasks([TaskSpec("testbed_humaneval", limit=2)])
    for request in tasks[0].requests:
        monkeypatch.setitem(request.doc, "test", "import not_a_package\n" + request.doc["test"])
    assert tasks[0].packages == {"not_a_package"}
    with sandbox, pytest.raises(SandboxError, match="need the package not_a_package"):
        Evaluator(ModelAdapter(llama, tokenizer), tasks, sandbox=sandbox)


def test_only_generated_programs_need_a_sandbox(monkeypatch) -> None:
    monkeypatch.setattr(bubblewrap, "bubblewrap", lambda: None)
    with sandbox_for(load_tasks([TaskSpec("testbed_events", limit=1)])) as sandbox:
        assert sandbox is None
    programs = load_tasks([TaskSpec("testbed_humaneval", limit=1)])
    with pytest.raises(SandboxError, match="bubblewrap is not installed"), sandbox_for(programs):
        pass
