import math

import numpy as np
import pandas as pd
import pytest
import torch

from codingspot.errors import SelectionError
from codingspot.views.neurons.ablation import diagonal_and_rest, matched_neurons, perplexity_ratios, silenced
from codingspot.views.neurons.sites import NeuronLayout, Site, find_sites

TOKENS = torch.randint(0, 24, (2, 9), generator=torch.Generator().manual_seed(7))


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_silencing_a_neuron_is_zeroing_what_it_writes(name, request):
    model = request.getfixturevalue(name)
    layout, neurons = find_sites(model), np.array([3, 24 + 5, 24 + 7])
    before = logits(model)
    with silenced(model, layout, neurons):
        found = logits(model)
    assert torch.equal(logits(model), before)
    with torch.no_grad():
        for layer, indices in ((0, [3]), (1, [5, 7])):
            if name == "llama":
                model.model.layers[layer].mlp.down_proj.weight[:, indices] = 0
            else:
                model.transformer.h[layer].mlp.c_proj.weight[indices] = 0
    assert not torch.equal(found, before)
    torch.testing.assert_close(found, logits(model))


def test_silencing_experts_is_zeroing_what_they_write(mixtral):
    neurons = np.array([0, 24 + 1, 72 + 48 + 2])  # experts 0 and 1 of layer 0, expert 2 of layer 1
    with silenced(mixtral, find_sites(mixtral), neurons):
        found = logits(mixtral)
    with torch.no_grad():
        for layer, expert, index in ((0, 0, 0), (0, 1, 1), (1, 2, 2)):
            mixtral.model.layers[layer].mlp.experts.down_proj[expert][:, index] = 0
    torch.testing.assert_close(found, logits(mixtral))


LAYOUT = NeuronLayout((Site("a", "a.act", 0, 1, 30), Site("b", "b.act", 1, 1, 30)))


def test_controls_are_of_the_same_layers_and_as_active():
    rates = np.tile(np.linspace(0, 1, 30), 2)
    neurons = np.array([0, 1, 29, 45])
    drawn = matched_neurons(LAYOUT, rates, neurons, seed=4)
    assert len(set(drawn)) == 4
    assert not set(drawn) & set(neurons)
    assert sorted(LAYOUT.layers[drawn]) == [0, 0, 0, 1]
    # Ten others are at most ten steps of the rate away, wherever a neuron stands; one taken leaves an eleventh.
    assert np.abs(np.sort(rates[drawn]) - np.sort(rates[neurons])).max() <= 13 / 29
    assert matched_neurons(LAYOUT, rates, neurons, seed=4).tolist() == drawn.tolist()
    assert matched_neurons(LAYOUT, rates, neurons, seed=5).tolist() != drawn.tolist()


def test_a_layer_without_other_neurons_is_refused():
    with pytest.raises(SelectionError, match="layer 0 has no other neurons"):
        matched_neurons(LAYOUT, np.zeros(60), np.arange(16), seed=0)


def test_ratios_are_of_perplexities():
    losses = pd.DataFrame(
        [
            ("", "", "go", 10, 20.0),
            ("", "", "rust", 5, 20.0),
            ("go", "", "go", 10, 30.0),
            ("go", "", "rust", 5, 20.0),
            ("go", "random", "go", 10, 20.0),
            ("go", "random", "rust", 5, 25.0),
        ],
        columns=["ablated", "control", "evaluated", "tokens", "loss"],
    )
    ratios = perplexity_ratios(losses)
    assert ratios["ratio"].tolist() == pytest.approx([math.e, 1, 1, math.e])
    means = diagonal_and_rest(ratios)
    assert means["silent"].tolist() == ["neurons", "random"]
    assert means["own"].tolist() == pytest.approx([math.e, 1])
    assert means["others"].tolist() == pytest.approx([1, math.e])
