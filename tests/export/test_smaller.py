"""Neurons cut out: a smaller model that transformers loads, and that computes what zeroing them does."""

import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from architectures import CONFIGS
from export_spots import random_spot, unit_spot
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from codingspot import edited, load_model
from codingspot.cli.app import app
from codingspot.errors import ArtefactError, FingerprintError, SelectionError
from codingspot.export import SmallerExport, export_smaller
from codingspot.export.checkpoint import Checkpoint
from codingspot.models import find_units

TOKENS = torch.arange(2, 18)[None]
DENSE = [name for name in CONFIGS if name not in ("mixtral", "qwen3-moe")]


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=TOKENS, use_cache=False).logits


@pytest.mark.parametrize("name", DENSE)
def test_it_computes_what_zeroing_the_neurons_does(name: str, make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint(name, tied=True)
    loaded = load_model(source, device="cpu")
    units = find_units(loaded.model, "neuron")
    width = units.sites[0].width
    # Seven of the first layer, among them the last, and nine of the second.
    numbers = [3, 0, 5, width - 1, 8, 9, 13, *(width + index for index in (2, 3, 4, 5, 10, 11, 12, 14, width - 1))]
    spot = unit_spot(loaded.model, numbers)
    record = export_smaller(spot, source, tmp_path / "smaller").record
    assert record["neurons"] == {"removed": 16, "cut": 14, "zeroed": 2}
    assert record["width"] == {"before": width, "after": width - 7}
    made = load_model(tmp_path / "smaller", device="cpu")
    assert len(find_units(made.model, "neuron")) == 2 * (width - 7)
    assert made.model.num_parameters() == record["size"]["parameters"][1] < record["size"]["parameters"][0]
    with edited(loaded, spot):
        torch.testing.assert_close(logits(made.model), logits(loaded.model), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(made.model), logits(loaded.model), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "gemma3", "phi3"])
def test_key_value_groups_are_cut_with_their_heads(name: str, make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint(name, tied=True)
    loaded = load_model(source, device="cpu")
    spot = unit_spot(loaded.model, [0, 3], "group")  # the first of one layer, the second of the other
    result = export_smaller(spot, source, tmp_path / "smaller")
    assert result.record["groups"] == {"removed": 2, "cut": 2, "zeroed": 0}
    assert result.lines[0] == "2 key-value groups cut out, 1 of 2 in every layer."
    made = load_model(tmp_path / "smaller", device="cpu")
    assert (made.model.config.num_key_value_heads, made.model.config.num_attention_heads) == (1, 2)
    with edited(loaded, spot):
        torch.testing.assert_close(logits(made.model), logits(loaded.model), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(made.model), logits(loaded.model), rtol=1e-3, atol=1e-3)


def test_groups_that_a_configuration_has_no_number_of_are_refused(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("gpt2")
    spot = unit_spot(load_model(source, device="cpu").model, [0, 4], "group")
    with pytest.raises(SelectionError, match="no setting for the number of key-value groups alone"):
        export_smaller(spot, source, tmp_path / "smaller")


def test_shards_types_and_the_card(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama", dtype=torch.bfloat16)
    spot = unit_spot(load_model(source, device="cpu").model, [*range(10), *range(24, 40)])
    result = export_smaller(spot, source, tmp_path / "smaller", SmallerExport(multiple_of=8))
    assert result.record["width"] == {"before": 24, "after": 16}
    assert result.lines[0] == (
        "16 neurons cut out, 8 of 24 in every layer. 10 more of the spot stay with their weights at zero, since all "
        "layers have one width."
    )
    index = json.loads((tmp_path / "smaller/model.safetensors.index.json").read_text())
    files = {file: load_file(tmp_path / "smaller" / file) for file in set(index["weight_map"].values())}
    assert all(name in files[file] for name, file in index["weight_map"].items())
    tensors = [tensor for found in files.values() for tensor in found.values()]
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert index["metadata"]["total_size"] == 2 * sum(tensor.numel() for tensor in tensors)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "smaller").config.intermediate_size == 16
    assert result.lines[0] in (tmp_path / "smaller/README.md").read_text()


def test_one_tensor_is_in_memory_at_a_time(make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_checkpoint("llama", size="1GB")
    spot = unit_spot(load_model(source, device="cpu").model, [*range(10), *range(24, 40)])
    read, alive = Checkpoint.read, list[weakref.ref[torch.Tensor]]()

    def watched(checkpoint: Checkpoint, name: str) -> torch.Tensor:
        assert not [each for each in alive if each() is not None]
        tensor = read(checkpoint, name)
        alive.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(Checkpoint, "read", watched)
    export_smaller(spot, source, tmp_path / "smaller")
    assert len(alive) == len(load_file(tmp_path / "smaller/model.safetensors"))


def test_what_cannot_be_cut_is_one_line(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama")
    model = load_model(source, device="cpu").model
    for spot in (random_spot(model), unit_spot(model, [0, 1], "head")):
        with pytest.raises(SelectionError, match="only whole neurons and key-value groups can be cut"):
            export_smaller(spot, source, tmp_path / "smaller")
    first = unit_spot(model, [0, 1, 2])
    with pytest.raises(
        SelectionError, match=r"layer 1 keeps 24 of its 24 neurons.*uniform cut to 23 takes at least 1 "
    ):
        export_smaller(first, source, tmp_path / "smaller")
    both = unit_spot(model, [0, 1, 2, 24, 25])
    with pytest.raises(SelectionError, match=r"layer 1 keeps 22 .*uniform cut to 16 takes at least 8 of the spot in"):
        export_smaller(both, source, tmp_path / "smaller", SmallerExport(multiple_of=8))
    with pytest.raises(SelectionError, match="no width below 24 is a multiple of 64; lower --multiple-of"):
        export_smaller(both, source, tmp_path / "smaller", SmallerExport(multiple_of=64))
    for number in (5, 10**9):
        assert both.units is not None
        units = replace(both.units, numbers=torch.tensor([0, 1, 2, 24, number]))
        with pytest.raises(ArtefactError, match="weights are not those of the neurons that it names"):
            export_smaller(replace(both, units=units), source, tmp_path / "smaller")
    with pytest.raises(SelectionError, match="the spot is empty"):
        export_smaller(both.prefix(0), source, tmp_path / "smaller")
    other = type(both)(both.positions, both.scores, both.layout, {"model": {"fingerprint": "0" * 64}}, both.units)
    with pytest.raises(FingerprintError, match="found in other weights"):
        export_smaller(other, source, tmp_path / "smaller")
    experts = make_checkpoint("mixtral")
    fused = unit_spot(load_model(experts, device="cpu").model, [0, 100])
    with pytest.raises(SelectionError, match="layer 0 are those of fused experts"):
        export_smaller(fused, experts, tmp_path / "smaller")
    assert not (tmp_path / "smaller").exists()


def test_the_command(tmp_path: Path) -> None:
    file, runner = tmp_path / "neurons.safetensors", CliRunner()
    numbers = [512 * layer + index for layer in range(6) for index in range(100)]
    unit_spot(load_model("testbed", device="cpu").model, numbers).save(file)
    made = runner.invoke(app, ["export", "smaller", str(file), "testbed", "--out", str(tmp_path / "smaller")])
    assert made.exit_code == 0, made.output
    assert "600 neurons cut out, 100 of 512 in every layer." in made.output
    assert "parameters: 3,148,224 before, 2,802,624 after (89.0%)." in made.output
    asked = ["export", "smaller", str(file), "testbed", "--out", str(tmp_path / "x"), "--k", "0.001"]
    refused = runner.invoke(app, asked)
    assert refused.exit_code == 1
    assert "fewer than the first of the spot's units has" in refused.output
