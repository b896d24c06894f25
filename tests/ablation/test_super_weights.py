"""Super weights: found where they were planted."""

import pytest
import torch

from codingspot.ablation import CONTROLS, Controlled, super_weights
from codingspot.errors import SelectionError
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import ParameterLayout, unique_parameters
from codingspot.spot import find_spot


def plant(weight, row: int, column: int) -> None:
    with torch.no_grad():
        weight[row, column] = 500.0


def test_a_planted_weight_is_found_first_in_a_linear_and_in_a_transposed_layer(llama, gpt2, make_loaded) -> None:
    down = llama.model.layers[1].mlp.down_proj.weight
    with torch.no_grad():  # one input channel carries a spike, one weight passes it on
        llama.model.layers[1].mlp.up_proj.weight[7] *= 300
    plant(down, 3, 7)
    table = super_weights(make_loaded(llama))
    first = table.iloc[0]
    assert (first["layer"], first["output_channel"], first["input_channel"]) == (1, 3, 7)
    layout = ParameterLayout.of(llama)
    assert first["position"] == layout.slice("model.layers.1.mlp.down_proj.weight").start + 3 * 24 + 7
    assert first["output_spike"] > 20 * table.iloc[1]["output_spike"]

    plant(gpt2.transformer.h[0].mlp.c_proj.weight, 5, 2)  # [inputs, outputs]
    short = ("the fox", "a dog")
    found = super_weights(make_loaded(gpt2), texts=short).iloc[0]
    inside = found["position"] - ParameterLayout.of(gpt2).slice("transformer.h.0.mlp.c_proj.weight").start
    assert (found["output_channel"], inside % 16) == (2, 2)
    assert inside // 16 == found["input_channel"]


def test_as_many_as_asked_for(llama, make_loaded) -> None:
    assert len(super_weights(make_loaded(llama), count=1)) == 1
    assert len(super_weights(make_loaded(llama), count=9)) == 2  # one a layer
    with pytest.raises(SelectionError, match="at least one"):
        super_weights(make_loaded(llama), count=0)


def test_alone_and_the_spot_without_them(llama, make_loaded, tmp_path) -> None:
    loaded = make_loaded(llama)
    found = set(super_weights(loaded)["position"].tolist())
    generator = torch.Generator().manual_seed(0)
    layout = ParameterLayout.of(llama)
    scores = {n: torch.rand(p.shape, generator=generator) for n, p in unique_parameters(llama).items()}
    for position in found:
        name = layout.names[int(layout.tensor_index(torch.tensor([position])))]
        scores[name].view(-1)[position - layout.slice(name).start] = 5.0
    store = ScoreStore.write(tmp_path / "scores", [NewDomainScores("Go", "code", scores)])
    controlled = Controlled(find_spot(store, scope="blocks", max_k_percent=5), store, loaded)
    assert found <= set(controlled.spot.positions.tolist())

    alone = CONTROLS["super_weights"](controlled)
    assert set(alone.positions.tolist()) == found
    assert CONTROLS.traits("super_weights").own_size
    without = CONTROLS["without_super_weights"](controlled)
    assert len(without) == len(controlled.spot)
    expected = [p for p in controlled.spot.positions.tolist() if p not in found]
    assert without.positions.tolist()[: len(expected)] == expected
    assert not found & set(without.positions.tolist())
    assert without.metadata["control"]["inside"] == len(found)
