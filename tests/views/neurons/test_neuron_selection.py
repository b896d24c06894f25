import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from codingspot.errors import SelectionError
from codingspot.views.neurons.selection import bar, entropy, exclusive_only, number_of, select

# Neuron 0 is active in the first domain alone, 1 in both alike, 2 mostly in the second, 3 hardly ever, 4 never.
PROBABILITIES = np.array([[0.8, 0.0], [0.9, 0.9], [0.1, 0.7], [0.02, 0.0], [0.0, 0.0]])


def test_entropy_is_that_of_normalised_probabilities():
    found = entropy(PROBABILITIES)
    third = -(1 / 8) * math.log(1 / 8) - (7 / 8) * math.log(7 / 8)
    assert found[:4] == pytest.approx([0, math.log(2), third, 0])
    assert found[4] == math.inf


def test_the_bar_is_the_kth_smallest():
    assert bar(PROBABILITIES, 0.5) == 0.02  # sorted: 0 0 0 0 .02 .1 .7 .8 .9 .9, k = 5
    assert bar(PROBABILITIES, 0.95) == 0.9  # round(9.5) = 10
    assert bar(PROBABILITIES, 0.01) == 0.0


def test_per_language_takes_the_lowest_entropies_above_the_bar():
    found = select(PROBABILITIES, ("a", "b"), selection="per-language", size=2, quantile=0.5)
    assert found["a"].tolist() == [0, 2]
    assert found["b"].tolist() == [2, 1]


def test_lape_takes_the_lowest_entropies_of_all():
    found = select(PROBABILITIES, ("a", "b"), selection="lape", size=0.4, quantile=0.5)
    assert found["a"].tolist() == [0, 2]
    assert found["b"].tolist() == [2]


def test_a_neuron_never_above_the_bar_is_dismissed():
    everything = select(PROBABILITIES, ("a", "b"), selection="lape", size=5, quantile=0.5)
    assert sorted(set(np.concatenate(list(everything.values())).tolist())) == [0, 1, 2]


def test_exclusive_neurons_are_in_no_other_set():
    found = select(PROBABILITIES, ("a", "b"), selection="per-language", size=2, quantile=0.5, exclusive=True)
    assert {name: chosen.tolist() for name, chosen in found.items()} == {"a": [0], "b": [1]}
    three = {"a": np.array([1, 2]), "b": np.array([2, 3]), "c": np.array([3, 4])}
    assert {name: chosen.tolist() for name, chosen in exclusive_only(three).items()} == {"a": [1], "b": [], "c": [4]}


def published_lape(probabilities: torch.Tensor, top_rate: float) -> list[list[int]]:
    """The published selection, with its own torch operations: kthvalue, topk of the smallest, then the bar."""
    normed = probabilities / probabilities.sum(-1, keepdim=True)
    normed[normed.isnan()] = 0
    logs = torch.where(normed > 0, normed.log(), torch.zeros_like(normed))
    entropies = -(normed * logs).sum(-1)
    flat = probabilities.flatten()
    threshold = flat.kthvalue(round(len(flat) * 0.95)).values
    entropies[(probabilities > threshold).sum(-1) == 0] = torch.inf
    index = entropies.topk(round(len(entropies) * top_rate), largest=False).indices
    return [sorted(index[probabilities[index, lang] > threshold].tolist()) for lang in range(probabilities.shape[1])]


def test_the_selection_is_the_published_one():
    drawn = torch.rand(400, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 4
    found = select(drawn.numpy(), tuple("abcde"), selection="lape", size=0.05)
    assert [sorted(found[name].tolist()) for name in "abcde"] == published_lape(drawn, 0.05)


@given(arrays.arrays(np.float64, (20, 3), elements=st.floats(0, 1)), st.integers(1, 20))
def test_every_selected_neuron_is_above_the_bar_and_larger_sets_hold_smaller_ones(probabilities, size):
    domains = ("a", "b", "c")
    large = select(probabilities, domains, selection="per-language", size=size)
    small = select(probabilities, domains, selection="per-language", size=max(1, size - 1))
    threshold = bar(probabilities, 0.95)
    for column, name in enumerate(domains):
        assert (probabilities[large[name], column] > threshold).all()
        assert len(set(large[name].tolist())) == len(large[name]) <= size
        assert small[name].tolist() == large[name][: len(small[name])].tolist()


def test_sizes_are_shares_or_numbers():
    assert number_of(0.00087, 458_752) == 399
    assert number_of(400, 458_752) == 400
    assert number_of(0.01, 10) == 1
    with pytest.raises(SelectionError, match="400 of 300 neurons"):
        number_of(400, 300)


def test_one_domain_is_refused():
    with pytest.raises(SelectionError, match="give at least two"):
        select(PROBABILITIES[:, :1], ("a",), selection="lape", size=1)
