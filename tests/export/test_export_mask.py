"""Masks as torch prunes by them, and training of what a spot selects alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import make_model
from export_spots import random_spot
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn.utils import prune
from transformers import Trainer, TrainingArguments
from typer.testing import CliRunner

from codingspot import edited
from codingspot.cli.app import app
from codingspot.errors import ModelError, OutputError, SelectionError, StudyError
from codingspot.export import MaskExport, SpotTraining, export_mask, masked_gradients
from codingspot.models import unique_parameters

TOKENS = torch.arange(2, 18)[None]


def test_torch_prunes_by_them_what_the_edit_zeroes(tmp_path: Path) -> None:
    model = make_model("llama", tied=False)
    spot = random_spot(model)
    with edited(model, spot), torch.no_grad():
        expected = model(input_ids=TOKENS).logits
    record = export_mask(spot, tmp_path / "mask.safetensors").record
    masks = load_file(tmp_path / "mask.safetensors")
    assert set(record["tensors"]) == set(masks) == set(spot.grouped())
    assert sum(int((~mask).sum()) for mask in masks.values()) == len(spot)
    for name, mask in masks.items():
        module, _, weight = name.rpartition(".")
        prune.custom_from_mask(model.get_submodule(module), weight, mask)
    with torch.no_grad():
        assert torch.equal(model(input_ids=TOKENS).logits, expected)


def test_the_spot_alone_and_a_scope(tmp_path: Path) -> None:
    spot = random_spot(make_model("mixtral", tied=True))
    rest, alone = tmp_path / "rest.safetensors", tmp_path / "alone.safetensors"
    export_mask(spot, rest)
    export_mask(spot, alone, MaskExport(keep="spot", scope="attention", k=2))
    with safe_open(alone, framework="pt") as file:
        assert file.metadata()["keep"] == "spot"
        assert json.loads(file.metadata()["spot"]) == spot.metadata
    kept = load_file(alone)
    assert all("self_attn" in name for name in kept)
    small = spot.top(2).grouped()
    assert all(int(mask.sum()) == len(small[name]) for name, mask in kept.items())
    assert load_file(rest)["model.layers.0.mlp.experts.gate_up_proj"].shape == (3, 48, 16)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    spot, file = random_spot(make_model("llama", tied=False)), tmp_path / "mask.safetensors"
    with pytest.raises(SelectionError, match="no weights in scope 'norms'"):
        export_mask(spot.prefix(1), file, MaskExport(scope="norms"))
    with pytest.raises(StudyError, match="unknown scope 'nowhere'"):
        export_mask(spot, file, MaskExport(scope="nowhere"))
    spot.save(file)
    with pytest.raises(OutputError, match="not a file that codingspot wrote here"):
        export_mask(spot, file, force=True)
    spot.save(tmp_path / "spot.safetensors")
    out = str(tmp_path / "made.safetensors")
    made = CliRunner().invoke(app, ["export", "mask", str(tmp_path / "spot.safetensors"), "--out", out])
    assert made.exit_code == 0, made.output
    assert "weights kept" in made.output


class Texts(torch.utils.data.Dataset[Any]):
    """The same tokens again and again."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, _: int) -> dict[str, torch.Tensor]:
        return {"input_ids": TOKENS[0], "labels": TOKENS[0]}


def trainer(model: torch.nn.Module, folder: Path, callback: SpotTraining, **options: Any) -> Trainer:
    given = {"max_steps": 3, "learning_rate": 0.01, "report_to": [], "save_strategy": "no", "use_cpu": True, **options}
    return Trainer(model, TrainingArguments(str(folder), **given), train_dataset=Texts(), callbacks=[callback])


@pytest.mark.parametrize("train", ["spot", "rest"])
def test_the_trainer_changes_what_is_trained_alone(train: Any, tmp_path: Path) -> None:
    model = make_model("llama", tied=True)
    spot = random_spot(model)
    before = {name: weight.detach().clone() for name, weight in unique_parameters(model).items()}
    trainer(model, tmp_path, SpotTraining(spot, train)).train()
    offsets = spot.grouped()
    changed = 0
    for name, weight in unique_parameters(model).items():
        assert weight.requires_grad
        selected = torch.zeros(weight.numel(), dtype=torch.bool)
        selected[offsets.get(name, torch.empty(0, dtype=torch.int64))] = True
        moved = (weight != before[name]).flatten()
        assert not moved[selected if train == "rest" else ~selected].any()
        changed += int(moved.sum())
    assert changed > 0.5 * (len(spot) if train == "spot" else spot.layout.total - len(spot))


def test_a_loop_of_one_s_own_and_what_is_left_after_it() -> None:
    model = make_model("llama", tied=False)
    spot = random_spot(model)
    frozen = model.get_parameter("model.norm.weight").requires_grad_(False)
    with masked_gradients(model, spot) as trained:
        inside = len(spot.grouped().get("model.norm.weight", ()))
        assert trained == len(spot) - inside
        model(input_ids=TOKENS, labels=TOKENS).loss.backward()
        weight = model.get_parameter("model.layers.0.mlp.up_proj.weight")
        assert int((weight.grad != 0).sum()) <= len(spot.grouped()["model.layers.0.mlp.up_proj.weight"])
    model.zero_grad()
    model(input_ids=TOKENS, labels=TOKENS).loss.backward()
    assert (weight.grad != 0).all()
    assert not frozen.requires_grad


def test_what_cannot_be_trained_so_is_one_line(tmp_path: Path) -> None:
    model = make_model("llama", tied=False)
    with pytest.raises(StudyError, match=r"weight_decay is 0\.1.*set it to 0"):
        trainer(model, tmp_path, SpotTraining(random_spot(model)), weight_decay=0.1).train()
    other = SpotTraining(random_spot(make_model("qwen2", tied=False)))
    with pytest.raises(ModelError, match="model with other parameters"):
        trainer(model, tmp_path, other).train()
