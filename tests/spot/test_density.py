import pandas as pd
import pytest
import torch

from codingspot.spot import Spot, density, find_spot


def test_density_by_hand(make_store) -> None:
    layout = make_store(Go=[1.0] * 64).layout
    positions = torch.tensor([59, 0, 28, 29, 43])  # one in q_proj, one in lm_head, three in up_proj
    table = density(Spot(positions, torch.zeros(5), layout)).set_index("tensor")
    assert list(table.index) == list(layout.names)
    up = table.loc["model.layers.0.mlp.up_proj.weight"]
    assert (up["layer"], up["block"], up["kind"], up["parameters"], up["selected"]) == (0, "mlp", "up", 16, 3)
    assert (up["density"], up["share"]) == (3 / 16, 3 / 5)
    assert table["selected"].to_dict()["lm_head.weight"] == 1
    assert table["selected"].sum() == 5
    assert pd.isna(table.loc["model.norm.weight", "layer"])


def test_shares_sum_to_one_and_parameters_to_the_model(make_store, random_scores) -> None:
    table = density(find_spot(make_store(Go=random_scores(0)), max_k_percent=40))
    assert table["share"].sum() == pytest.approx(1)
    assert table["parameters"].sum() == 64
