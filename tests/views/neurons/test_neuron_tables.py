import math

import numpy as np
import pytest

from codingspot.views.neurons.counting import ActivationCounts
from codingspot.views.neurons.sites import NeuronLayout, Site
from codingspot.views.neurons.tables import layer_histogram, neuron_list, sharing, sweep

LAYOUT = NeuronLayout((Site("a", "a.act", 0, 1, 3), Site("b", "b.act", 1, 2, 2)))
FOUND = {"go": np.array([5, 0]), "rust": np.array([1, 5])}
COUNTS = ActivationCounts(
    ("go", "rust"),
    np.array([[8, 0], [0, 9], [1, 1], [0, 0], [2, 2], [7, 6], [1, 0]]),
    np.array([10, 10]),
)


def test_the_list_says_where_each_neuron_is_and_how_often_it_is_active():
    table = neuron_list(LAYOUT, COUNTS, FOUND)
    assert table[["domain", "rank", "layer", "expert", "neuron"]].values.tolist() == [
        ["go", 1, 1, 1, 0],
        ["go", 2, 0, 0, 0],
        ["rust", 1, 0, 0, 1],
        ["rust", 2, 1, 1, 0],
    ]
    assert table["rate"].tolist() == [0.7, 0.8, 0.9, 0.6]
    assert table["elsewhere"].tolist() == [0.6, 0.0, 0.0, 0.7]
    assert table["exclusive"].tolist() == [False, True, True, False]


def test_the_histogram_counts_by_layer():
    assert layer_histogram(LAYOUT, FOUND).values.tolist() == [
        ["go", 0, 1, 1, 3],
        ["go", 1, 1, 0, 4],
        ["rust", 0, 1, 1, 3],
        ["rust", 1, 1, 0, 4],
    ]


def test_sharing_is_the_jaccard_index_of_specific_and_of_active_neurons():
    table = sharing(LAYOUT, COUNTS, FOUND, quantile=0.5)  # half of the probabilities are at most 0.1
    assert table[["first", "second", "layer", "shared"]].values.tolist() == [
        ["go", "rust", -1, 1],
        ["go", "rust", 0, 0],
        ["go", "rust", 1, 1],
    ]
    assert table["specific"].tolist() == pytest.approx([1 / 3, 0, 1])
    assert table["active"].tolist() == pytest.approx([2 / 4, 0, 1])  # {0, 4, 5} and {1, 4, 5}


def test_a_layer_without_neurons_has_no_index():
    table = sharing(LAYOUT, COUNTS, {"go": np.array([0]), "rust": np.array([1])}, quantile=0.5)
    assert math.isnan(table["specific"].iloc[2])


def test_the_sweep_compares_with_all_text():
    first = ActivationCounts(("go", "rust"), np.array([[4, 0], [0, 4], [5, 5], [1, 0]]), np.array([5, 5]))
    second = ActivationCounts(("go", "rust"), np.array([[0, 5], [0, 5], [5, 5], [5, 0]]), np.array([5, 5]))
    table = sweep([first, second], (0.5, 0.7), selection="per-language", size=1, quantile=0.5)
    assert table[["varied", "quantile", "domain", "tokens", "selected"]].values.tolist() == [
        ["quantile", 0.5, "go", 10, 1],
        ["quantile", 0.5, "rust", 10, 1],
        ["quantile", 0.7, "go", 10, 1],
        ["quantile", 0.7, "rust", 10, 1],
        ["text", 0.5, "go", 5, 1],
        ["text", 0.5, "rust", 5, 1],
        ["text", 0.5, "go", 10, 1],
        ["text", 0.5, "rust", 10, 1],
    ]
    # With half of the text go's own neuron is number 0, with all of it number 3; 0.9 is above no higher bar.
    assert table["jaccard"].tolist() == [1, 1, 0, 0, 0, 1, 1, 1]
