"""LoRA adapters placed by a spot, as peft makes them."""

import json
from pathlib import Path

import pytest
import torch
from architectures import make_model
from export_spots import random_spot, unit_spot
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from codingspot import Spot, load_model
from codingspot.cli.app import app
from codingspot.errors import SelectionError
from codingspot.export import LoraExport, export_lora, place_lora
from codingspot.export.lora import Module, _ranks
from codingspot.models import ParameterLayout


def dense_in(model: torch.nn.Module, shares: dict[str, float], everywhere: float = 0.01) -> Spot:
    """A spot with a share of every matrix: of those named, another."""
    layout = ParameterLayout.of(model)
    parts = []
    for name, size in layout.sizes.items():
        share = next((value for part, value in shares.items() if part in name), everywhere)
        if len(layout.shape(name)) == 2 and "layers" in name:
            parts.append(layout.slice(name).start + torch.arange(round(share * size)))
    positions = torch.cat(parts)
    return Spot(positions, torch.zeros(len(positions)), layout, {"model": {"id": "tiny"}})


@pytest.mark.parametrize("placement", ["density", "inverse", "uniform"])
def test_peft_makes_adapters_of_the_budget_that_train(placement: str, tmp_path: Path) -> None:
    loaded = load_model("testbed", device="cpu")
    spot = dense_in(loaded.model, {"layers.5.mlp.down_proj": 0.3, "layers.2.self_attn.q_proj": 0.1})
    settings = LoraExport(budget=20_000, placement=placement)
    record = export_lora(spot, tmp_path / "lora", settings).record
    config = LoraConfig.from_pretrained(tmp_path / "lora")
    assert isinstance(config, LoraConfig)
    model = get_peft_model(loaded.model, config)
    trainable, _ = model.get_nb_trainable_parameters()
    assert trainable == record["trainable"]
    smallest = min(sum(spot.layout.shape(f"{name}.weight")) for name in record["ranks"])
    assert settings.budget - smallest < trainable <= settings.budget

    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.01)
    tokens = torch.arange(2, 34)[None]
    losses = []
    for _ in range(3):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], weight) for name, weight in weights.items() if "lora_B" in name)


def test_the_denser_module_has_the_higher_rank_and_every_adapter_the_same_scale() -> None:
    spot = dense_in(load_model("testbed", device="cpu").model, {"layers.5.mlp.down_proj": 0.3, "q_proj": 0.05})
    ranks = {
        p: place_lora(spot, LoraExport(budget=40_000, placement=p)).ranks for p in ("density", "inverse", "uniform")
    }
    dense, query = "model.layers.5.mlp.down_proj", "model.layers.0.self_attn.q_proj"
    assert ranks["density"][dense] > 4 * ranks["density"][query] > 0
    assert max(ranks["density"].values()) == ranks["density"][dense]
    assert dense not in ranks["inverse"] or ranks["inverse"][dense] <= min(ranks["inverse"].values())
    assert max(ranks["uniform"].values()) - min(ranks["uniform"].values()) <= 1
    config = place_lora(spot, LoraExport(budget=40_000, alpha=1.5)).config()
    assert {config["alpha_pattern"][name] / rank for name, rank in config["rank_pattern"].items()} == {1.5}


def test_the_default_budget_and_the_top_modules() -> None:
    model = load_model("testbed", device="cpu").model
    spot = dense_in(model, {"layers.5.mlp.down_proj": 0.3, "layers.4.mlp.up_proj": 0.2})
    uniform = place_lora(spot, LoraExport(rank=4, placement="uniform"))
    assert set(uniform.ranks.values()) == {4}
    assert len(uniform.ranks) == 6 * 7
    assert uniform.trainable == uniform.budget
    top = place_lora(spot, LoraExport(budget=10_000, top_modules=2))
    assert set(top.ranks) == {"model.layers.5.mlp.down_proj", "model.layers.4.mlp.up_proj"}
    assert all(name.count("self_attn") for name in place_lora(spot, LoraExport(scope="attention")).ranks)


def test_a_spot_of_neurons_and_one_of_gpt2(tmp_path: Path) -> None:
    assert place_lora(unit_spot(make_model("llama", tied=False), [3, 30, 31]), LoraExport(budget=500)).trainable <= 500
    model = make_model("gpt2", tied=True)
    export_lora(dense_in_gpt2(model), tmp_path / "lora", LoraExport(budget=800))
    peft = get_peft_model(model, LoraConfig.from_pretrained(tmp_path / "lora"))
    assert (
        peft.get_nb_trainable_parameters()[0]
        == json.loads((tmp_path / "lora/provenance.json").read_text())["trainable"]
    )


def dense_in_gpt2(model: torch.nn.Module) -> Spot:
    layout = ParameterLayout.of(model)
    span = layout.slice("transformer.h.1.mlp.c_fc.weight")
    return Spot(torch.arange(span.start, span.stop), torch.zeros(span.stop - span.start), layout)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    experts = random_spot(make_model("mixtral", tied=False), share=0.5)
    with pytest.raises(SelectionError, match=r"mlp\.experts\.down_proj, which is fused experts.*--scope attention"):
        place_lora(experts)
    assert place_lora(experts, LoraExport(scope="attention")).ranks
    spot = random_spot(make_model("llama", tied=False), share=0.5)
    with pytest.raises(SelectionError, match=r"budget of 20 trainable parameters is below rank 1, which takes 24 in"):
        place_lora(spot, LoraExport(budget=20))
    with pytest.raises(SelectionError, match=r"norm\.weight, which is no linear layer"):
        place_lora(spot, LoraExport(scope="layers"))
    layout = spot.layout
    head = Spot(torch.arange(4), torch.zeros(4), layout)
    with pytest.raises(SelectionError, match="no weights in a linear layer of scope 'blocks'"):
        place_lora(head)
    spot.save(tmp_path / "spot.safetensors")
    asked = ["export", "lora", str(tmp_path / "spot.safetensors"), "--out", str(tmp_path / "lora")]
    result = CliRunner().invoke(app, [*asked, "--placement", "nowhere"])
    assert result.output.startswith("error: --placement: Input should be 'density', 'inverse' or 'uniform'")
    result = CliRunner().invoke(app, [*asked, "--alpha", "1e308"])  # of which times a rank there is no number
    assert result.output.startswith("error: --alpha: Input should be less than or equal to 1000000")
    made = CliRunner().invoke(app, [*asked, "--budget", "500"])
    assert made.exit_code == 0, made.output
    assert "trainable parameters of a budget of 500 in" in made.output


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30), st.floats(0.001, 1)), min_size=1, max_size=12),
    st.integers(60, 4000),
)
def test_no_budget_is_exceeded_and_none_wasted(sizes: list[tuple[int, int, float]], budget: int) -> None:
    modules = [Module(str(index), (rows, columns), share) for index, (rows, columns, share) in enumerate(sizes)]
    ranks = _ranks(modules, [module.density for module in modules], budget)
    left = budget - sum(module.cost * rank for module, rank in zip(modules, ranks, strict=True))
    assert left >= 0
    for module, rank in zip(modules, ranks, strict=True):
        assert 0 <= rank <= min(module.shape)
        assert rank == min(module.shape) or module.cost > left
