from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
)

from codingspot.errors import SelectionError
from codingspot.models import ParameterLayout
from codingspot.views import Found
from codingspot.views.across.agreement import (
    layer_density,
    layer_profiles,
    neuron_parameters,
    pair_correlation,
    spot_in_neurons,
    without,
)
from codingspot.views.lens.view import LENS
from codingspot.views.mexa.view import MEXA
from codingspot.views.neurons.sites import find_sites
from codingspot.views.neurons.view import NEURONS

_SIZES = {
    "vocab_size": 20,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**_SIZES)),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**_SIZES, num_local_experts=3)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=20, n_positions=16, n_embd=8, n_inner=12, n_layer=2, n_head=2, initializer_range=0.3)
    ),
}
TOKENS = torch.randint(0, 20, (3, 9), generator=torch.Generator().manual_seed(1))


def make(name):
    torch.manual_seed(0)
    return MODELS[name]().eval()


@pytest.mark.parametrize(("name", "each"), [("llama", 24), ("phi3", 24), ("mixtral", 24), ("gpt2", 17)])
def test_zeroing_a_neurons_parameters_is_silencing_it(name, each):
    """Only its own: the others' activations stay what they are, as the output with its column zeroed shows."""
    model = make(name)
    layout = find_sites(model)
    neurons = np.array([5, layout.total // 2 + 3])
    positions = neuron_parameters(model, layout, neurons)
    assert len(positions) == 2 * each  # three vectors of 8, or two and a bias
    assert len(torch.unique(positions)) == len(positions)
    from codingspot.views.neurons.ablation import silenced

    with torch.no_grad(), silenced(model, layout, neurons):
        expected = model(TOKENS).logits
    parameters = ParameterLayout.of(model)
    with torch.no_grad():
        for tensor, located in parameters.locate(positions).items():
            model.get_parameter(tensor).view(-1)[located.offsets] = 0
        torch.testing.assert_close(model(TOKENS).logits, expected)


def test_neurons_of_a_model_share_no_parameter_and_have_all_of_its_mlps():
    model = make("llama")
    layout = find_sites(model)
    every = torch.cat([neuron_parameters(model, layout, np.array([n])) for n in range(layout.total)])
    mlp = sum(size for name, size in ParameterLayout.of(model).sizes.items() if ".mlp." in name)
    assert len(every) == len(torch.unique(every)) == mlp


def test_a_spot_is_set_beside_what_is_expected_at_random():
    model = make("llama")
    layout = find_sites(model)
    own = {"go": np.array([0, 1, 12]), "rust": np.array([2])}
    inside = neuron_parameters(model, layout, np.array([0]))[:10]
    outside = neuron_parameters(model, layout, np.array([5]))[:5]
    attention = torch.arange(3) + ParameterLayout.of(model).slice("model.layers.0.self_attn.q_proj.weight").start
    table = spot_in_neurons(model, layout, torch.cat([inside, outside, attention]), own)
    assert table.values.tolist() == [
        ["go", 0, 15, 10, 15 * 2 / 12],
        ["go", 1, 0, 0, 0.0],
        ["rust", 0, 15, 0, 15 / 12],
        ["rust", 1, 0, 0, 0.0],
    ]


def test_positions_without_others_keep_their_order():
    assert without(torch.tensor([5, 1, 9, 3]), torch.tensor([9, 5])).tolist() == [1, 3]


def measures(seed: int, languages: str) -> tuple[dict, dict]:
    draw = np.random.default_rng(seed)
    pairs = [(a, b) for i, a in enumerate(languages) for b in languages[i + 1 :]]
    first = {pair: float(draw.normal()) for pair in pairs}
    return first, {(b, a): first[a, b] + float(draw.normal()) for a, b in pairs}


def test_the_correlation_is_spearmans_and_its_p_value_is_over_all_orders_of_languages():
    first, second = measures(3, "abcde")
    found = pair_correlation(first, second)
    pairs = list(first)
    values = [first[pair] for pair in pairs], [second[pair[::-1]] for pair in pairs]
    assert found.pairs == 10
    assert found.rho == pytest.approx(spearmanr(*values).statistic)
    larger = 0
    for order in permutations("abcde"):
        renamed = dict(zip("abcde", order, strict=True))
        moved = [second[tuple(sorted((renamed[a], renamed[b]), reverse=True))] for a, b in pairs]
        larger += abs(spearmanr(values[0], moved).statistic) >= abs(found.rho) - 1e-12
    assert found.p_value == pytest.approx(larger / 120)


def test_many_languages_are_drawn_by_the_seed():
    first, second = measures(0, "abcdefghi")
    found = pair_correlation(first, second, draws=200, seed=1)
    assert found == pair_correlation(first, second, draws=200, seed=1)
    assert 1 / 201 <= found.p_value <= 1
    assert pair_correlation(first, first, draws=200).p_value == pytest.approx(1 / 201)


def test_languages_without_a_value_are_left_out():
    first, second = measures(0, "abcdef")
    second["e", "a"] = float("nan")
    assert pair_correlation(first, second).pairs == 10
    constant = dict.fromkeys(first, 1.0)
    assert np.isnan(pair_correlation(first, constant).rho)
    with pytest.raises(SelectionError, match="pairs of 3 languages are too few"):
        pair_correlation(*measures(0, "abc"))


def test_profiles_are_by_layer_and_relative_to_the_largest():
    density = pd.DataFrame(
        {
            "layer": [0, 0, 1, None],
            "kind": ["q", "up", "q", "head"],
            "parameters": [4, 6, 10, 9],
            "selected": [1, 1, 1, 9],
        }
    )
    neurons = pd.DataFrame(
        {"domain": ["a", "a", "b", "b"], "layer": [0, 1, 0, 1], "specific": [1, 3, 1, 1], "neurons": [4, 4, 4, 4]}
    )
    alignment = pd.DataFrame({"layer": [0, 1, 1, 2], "score": [0.9, 0.2, 0.4, 0.6]})
    lens = pd.DataFrame(
        {
            "target": "a",
            "set": ["a", "a", "a", "b"],
            "kind": "all",
            "layer": [0, 1, 2, 2],
            "share": [0.5, 0.1, 0.2, 0.9],
        }
    )
    found = [
        (NEURONS, Found({"neurons_layers": neurons.assign(selection="lape")}, {"settings": {"selection": "lape"}})),
        (MEXA, Found({"alignment": alignment.assign(pairs="distinct")}, {})),
        (LENS, Found({"lens_sets": lens}, {})),
    ]
    profiles = {name: values for view, tables in found for name, values in view.profiles(tables).items()}
    table = layer_profiles({"spot": layer_density(density), **profiles})
    values = {view: rows["value"].tolist() for view, rows in table.groupby("view")}
    assert values == {
        "spot": [0.2, 0.1],
        "neurons": [0.25, 0.5],
        "alignment": pytest.approx([0.3, 0.6]),
        "keywords": [0.1, 0.2],
    }
    assert table.loc[table["view"] == "spot", "relative"].tolist() == [1, 0.5]
    assert table["depth"].tolist() == [0, 1] * 4
    assert len(layer_profiles({})) == 0
