"""`codingspot roles`: what a model's parameters are, from its configuration."""

import json
from pathlib import Path

import pytest
from transformers import LlamaConfig
from typer.testing import CliRunner

from codingspot.cli.app import app


def call(*arguments: str):
    return CliRunner().invoke(app, ["roles", *arguments], env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's configuration alone: 4 query heads over 2 of keys and values, head size 4."""
    LlamaConfig(
        vocab_size=10,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        architectures=["LlamaForCausalLM"],
    ).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_kinds_add_up_to_the_model(folder: Path) -> None:
    result = call(str(folder))
    assert result.exit_code == 0, result.output
    # Embedding and head 2 * 160; a layer: q and o 256 each, k and v 128 each, MLP 3 * 384, norms 32; a final norm 16.
    assert "4,240 parameters in 21 tensors" in " ".join(result.output.split())
    rows = {line.split()[1]: line.split() for line in result.output.splitlines() if line.split()[1:2]}
    assert rows["k"] == ["attention", "k", "2", "2", "256", "6.04%", "2"]
    assert rows["up"] == ["mlp", "up", "2", "2", "768", "18.11%"]
    assert max(len(line.rstrip()) for line in result.output.splitlines()[1:]) <= 80


def test_json_has_every_parameter_with_its_heads(folder: Path) -> None:
    records = json.loads(call(str(folder), "--json").output)
    assert len(records) == 21
    assert sum(record["parameters"] for record in records) == 4240
    one = next(record for record in records if record["name"] == "model.layers.1.self_attn.k_proj.weight")
    assert (one["shape"], one["layer"], one["block"], one["kind"]) == ([8, 16], 1, "attention", "k")
    assert one["parts"] == [["k", 0, 0, 4], ["k", 1, 4, 8]]


def test_the_shipped_models_have_names() -> None:
    sizes = {}
    for name in ("testbed", "testbed-routed"):
        records = json.loads(call(name, "--json").output)
        sizes[name] = sum(record["parameters"] for record in records)
    assert sizes == {"testbed": 3_148_224, "testbed-routed": 3_221_952}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("testbed-rooted", "no testbed model 'rooted' ships with this package; there is plain, routed, scattered"),
        ("./nowhere", "model folder ./nowhere does not exist; correct the path or give a Hub id"),
        (".", ". has no config.json; give the folder written by save_pretrained"),
    ],
)
def test_a_model_that_is_not_there_is_named(
    model: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(model)
    assert result.exit_code == 1
    assert result.output.strip() == f"error: {says}"


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForTokenClassification"]}))
    result = call(str(folder))
    assert result.exit_code == 1
    assert "is a LlamaForTokenClassification, not a causal language model" in result.output
