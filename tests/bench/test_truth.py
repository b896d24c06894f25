"""Figures of rankings whose quality is known."""

import itertools
import math

import pytest
import torch
from sklearn.metrics import average_precision_score
from transformers import LlamaForCausalLM

from codingspot.bench.ranks import block_positions
from codingspot.bench.truth import (
    PERCENTS,
    chance,
    expected_average_precision,
    ground_truth,
    precision_at,
    subset_positions,
)
from codingspot.models import ParameterLayout
from codingspot.spot.ranks import shared_ranks
from codingspot.testbed.routing import Routing, Subset


@pytest.fixture
def model(make_llama) -> LlamaForCausalLM:
    return make_llama()


@pytest.fixture
def subset(model) -> Subset:
    return Subset.of(Routing(neurons=6, key_value_groups=1), model.config)


def test_chance_is_the_subset_s_share(model, subset) -> None:
    # A layer: q and o 256 each, k and v 128 each, of which half; MLP 3 * 384, of which a quarter.
    share = (384 + 288) / (768 + 1152)
    found = chance(model, subset)
    assert found["precision_at_1"] == pytest.approx(share)
    assert found["average_precision_neurons"] == pytest.approx(expected_average_precision(48, 12))
    assert found["average_precision_heads"] == pytest.approx(expected_average_precision(8, 4))


def test_expected_average_precision_is_the_mean_over_all_orders() -> None:
    orders = list(itertools.permutations(range(6)))
    precisions = [average_precision_score([1, 1, 0, 0, 0, 0], order) for order in orders]
    assert expected_average_precision(6, 2) == pytest.approx(sum(precisions) / len(orders))


def test_ties_share_their_mean_rank() -> None:
    keys = torch.tensor([5.0, 2.0, 2.0, 2.0, 1.0, -torch.inf])
    assert shared_ranks(keys).tolist() == pytest.approx([1, 0.6, 0.6, 0.6, 0.2, 0])


def test_precision_is_the_mean_over_all_orders_of_ties() -> None:
    keys = torch.tensor([2.0, 3.0, 2.0, 2.0, 1.0, -torch.inf])
    inside = torch.tensor([True, False, False, True, True, True])
    assert precision_at(1, keys, inside) == 0
    assert precision_at(2, keys, inside) == pytest.approx(1 / 2 * 2 / 3)  # one of the three twos, two of them inside
    assert precision_at(4, keys, inside) == 2 / 4
    assert precision_at(6, keys, inside) == 3 / 5  # what was left out is not counted
    assert math.isnan(precision_at(2, torch.full((3,), -torch.inf), torch.ones(3, dtype=torch.bool)))


def test_units_that_code_does_not_use_are_neither_hits_nor_misses(model, subset) -> None:
    """The unused come last and would cost precision; without them the ranking is perfect."""
    used = subset.model_copy(update={"layers": (subset.layers[0], subset.layers[1].model_copy(update={"neurons": ()}))})
    keys = 2 * subset_positions(model, used).float() - subset_positions(model, subset).float()
    found = ground_truth(keys, model, subset, used)
    assert found["average_precision_neurons"] < 0.8
    assert found["graded_average_precision_neurons"] == 1.0
    assert found["graded_average_precision_heads"] == found["average_precision_heads"]
    level = chance(model, subset, used)
    assert level["graded_average_precision_neurons"] == pytest.approx(expected_average_precision(42, 6))
    assert set(found) == set(level)
    # an unused unit that comes first is no hit either
    first = 2 * subset_positions(model, subset).float() - subset_positions(model, used).float()
    assert ground_truth(first, model, subset, used)["graded_average_precision_neurons"] == 1.0


def test_equal_keys_find_nothing(model, subset) -> None:
    """A method that cannot tell weights apart is no better than the subset's share, wherever its units stand."""
    layout = ParameterLayout.of(model)
    found = ground_truth(torch.zeros(layout.total), model, subset)
    share = chance(model, subset)["precision_at_1"]
    assert found == pytest.approx(
        {**{f"precision_at_{k:g}": share for k in PERCENTS}, "average_precision_neurons": 12 / 48,
         "average_precision_heads": 4 / 8}
    )  # fmt: skip


def test_a_perfect_ranking_finds_everything(model, subset) -> None:
    keys = subset_positions(model, subset).float()
    found = ground_truth(keys, model, subset)
    assert all(value == 1.0 for value in found.values())


def test_a_reversed_ranking_finds_nothing(model, subset) -> None:
    found = ground_truth(-subset_positions(model, subset).float(), model, subset)
    assert found["precision_at_0.1"] == found["precision_at_5"] == 0.0
    assert found["average_precision_neurons"] == 12 / 48  # all together, after all others


def test_a_random_ranking_is_at_chance(model, subset) -> None:
    level = chance(model, subset)
    total = ParameterLayout.of(model).total
    rankings = [torch.rand(total, generator=torch.Generator().manual_seed(i)) for i in range(40)]
    draws = [ground_truth(keys, model, subset) for keys in rankings]
    mean = sum(found["precision_at_5"] for found in draws) / len(draws)
    assert mean == pytest.approx(level["precision_at_5"], abs=0.03)


def test_what_a_method_leaves_out_is_not_counted(model, subset) -> None:
    inside = subset_positions(model, subset)
    blocks = block_positions(ParameterLayout.of(model))
    chosen = blocks[inside[blocks]][:7]
    keys = torch.full((ParameterLayout.of(model).total,), -torch.inf)
    keys[chosen] = 1.0
    assert ground_truth(keys, model, subset)["precision_at_5"] == 1.0


def test_of_a_ranking_of_nothing_there_are_no_figures(model, subset) -> None:
    assert ground_truth(torch.full((ParameterLayout.of(model).total,), -torch.inf), model, subset) == {}


def test_weights_outside_the_blocks_are_not_ranked(model, subset) -> None:
    layout = ParameterLayout.of(model)
    keys = subset_positions(model, subset).float()
    span = layout.slice("lm_head.weight")
    keys[span.start : span.stop] = 99.0
    assert ground_truth(keys, model, subset)["precision_at_5"] == 1.0
