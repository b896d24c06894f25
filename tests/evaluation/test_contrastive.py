"""Contrastive decoding: beside a plain loop over both models, and what `codingspot eval --contrast` refuses."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from typer.testing import CliRunner

from codingspot import Spot, load_model
from codingspot.cli.app import app
from codingspot.errors import EvaluationError
from codingspot.evaluation.contrastive import Contrast
from codingspot.evaluation.generation import Decoding, Generator
from codingspot.models import ParameterLayout

PROMPTS = ("Ana has", "def total(values):\n    result", "x", "The teacher gave")


@pytest.fixture
def amateur(llama: LlamaForCausalLM) -> LlamaForCausalLM:
    """The same model without the MLP of its first layer."""
    ablated = deepcopy(llama)
    with torch.no_grad():
        ablated.model.layers[0].mlp.down_proj.weight.zero_()
    return ablated


def _texts(tokenizer, model, decoding: Decoding, **contrasted: object) -> list[str]:
    generator = Generator(model, tokenizer, max_batch_tokens=2000, **contrasted)
    return [each.text for each in generator.generate([tokenizer.encode(prompt) for prompt in PROMPTS], decoding)]


def test_nothing_subtracted_is_greedy(
    llama: LlamaForCausalLM, amateur: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    decoding = Decoding(max_new_tokens=20, stop=("e", "o"))
    greedy = _texts(tokenizer, llama, decoding)
    assert _texts(tokenizer, llama, decoding, amateur=amateur, contrast=Contrast(beta=0)) == greedy
    assert _texts(tokenizer, llama, decoding, amateur=llama, contrast=Contrast(beta=3)) == greedy
    assert _texts(tokenizer, llama, decoding, amateur=amateur, contrast=Contrast(beta=3, alpha=1)) == greedy
    assert _texts(tokenizer, llama, decoding, amateur=amateur, contrast=Contrast(beta=3)) != greedy


@torch.no_grad()
def test_two_tokens_by_hand(
    llama: LlamaForCausalLM, amateur: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    beta, alpha = 2.0, 0.05
    expected = []
    for prompt in PROMPTS:
        tokens = tokenizer.encode(prompt)
        for _ in range(2):
            own, other = (model(torch.tensor([tokens])).logits[0, -1].log_softmax(0) for model in (llama, amateur))
            scores = (1 + beta) * own - beta * other
            scores[own.exp() < alpha * own.exp().max()] = -torch.inf
            tokens.append(int(scores.argmax()))
        expected.append(tokenizer.decode(tokens[-2:]))
    found = _texts(tokenizer, llama, Decoding(max_new_tokens=2), amateur=amateur, contrast=Contrast(beta, alpha))
    assert found == expected
    assert found != _texts(tokenizer, llama, Decoding(max_new_tokens=2))


@pytest.mark.parametrize("values", [{"beta": -1}, {"beta": float("nan")}, {"alpha": 0}, {"alpha": 1.5}])
def test_a_contrast_out_of_range(values: dict[str, float]) -> None:
    with pytest.raises(EvaluationError, match=f"contrastive decoding: {next(iter(values))} is "):
        Contrast(**values)


@pytest.fixture(scope="module")
def spot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weights of the shipped model."""
    layout = ParameterLayout.of(load_model("testbed").model)
    file = tmp_path_factory.mktemp("spots") / "spot.safetensors"
    Spot(torch.arange(1000, 2000), torch.zeros(1000), layout, {}).save(file)
    return file


def _eval(out: Path, *options: str, task: str = "testbed_arithmetic"):
    given = ["eval", "testbed", "--task", task, "--limit", "3", "--unsafe-no-sandbox", "--json", "--out", str(out)]
    return CliRunner().invoke(app, [*given, *options])


def test_the_command_contrasts_generated_answers(spot: Path, tmp_path: Path) -> None:
    result = _eval(tmp_path / "out", "--contrast", str(spot), "--contrast-k", "0.02", "--contrast-beta", "0.25")
    assert result.exit_code == 0, result.output
    protocol = json.loads(result.stdout)["testbed_arithmetic"]["protocol"]
    assert protocol.endswith(", contrasted with the model without the spot (beta 0.25, alpha 0.1)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contrast-beta", "1"], "--contrast-beta is of a contrast; name the spot with --contrast too"),
        (["--contrast", "SPOT", "--contrast-beta", "-1"], "contrastive decoding: beta is -1.0"),
        (["--contrast", "SPOT", "--contrast-k", "50"], "exceeds the spot's own 0.03176%"),
        (["--contrast", "missing.safetensors"], "missing.safetensors"),
    ],
)
def test_what_the_command_refuses(spot: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = _eval(tmp_path / "out", *[str(spot) if each == "SPOT" else each for each in options])
    assert result.exit_code == 1, result.output
    assert message in " ".join(result.output.split())
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_answers_that_are_scored_are_refused(spot: Path, tmp_path: Path) -> None:
    result = _eval(tmp_path / "out", "--contrast", str(spot), task="testbed_events")
    assert result.exit_code == 1
    assert "task testbed_events: its answers are scored by their likelihood" in " ".join(result.output.split())
