import pytest
import torch

from codingspot.spot import domain_overlap, domain_spots, general_overlap

K = 100 / 64  # one parameter of the small Llama's 64


def values(*best: int) -> torch.Tensor:
    """Scores whose largest are at these positions, in this order; the rest is smaller."""
    scores = torch.full((64,), 0.01)
    for rank, position in enumerate(best):
        scores[position] = 10.0 - rank
    return -scores  # the sign must not matter


def test_each_domain_has_the_spot_of_its_own_scores(make_store) -> None:
    spots = domain_spots(make_store(Go=values(5, 1), Rust=values(60, 5), English=values(7, 8)), max_k_percent=2 * K)
    assert {name: spot.positions.tolist() for name, spot in spots.items()} == {
        "Go": [5, 1],
        "Rust": [60, 5],
        "English": [7, 8],
    }


def test_split_overlap_is_across_halves_of_the_text(make_store) -> None:
    whole = domain_spots(make_store(Go=values(1, 2), Rust=values(1, 3)), max_k_percent=2 * K)
    one = domain_spots(make_store("one", Go=values(1, 2), Rust=values(1, 3)), max_k_percent=2 * K)
    other = domain_spots(make_store("other", Go=values(1, 9), Rust=values(9, 1)), max_k_percent=2 * K)
    table = domain_overlap(whole, [2 * K], halves=(one, other)).set_index(["first", "second"])
    assert table.loc[("Go", "Go"), "split_jaccard"] == pytest.approx(1 / 3)
    both = table.loc[("Go", "Rust")]
    # Go in one half beside Rust in the other, {1, 2} and {9, 1}: 1/3; Rust beside Go, {1, 3} and {1, 9}: 1/3.
    assert (both["split_low"], both["split_high"]) == pytest.approx((1 / 3, 1 / 3))
    assert both["jaccard"] == pytest.approx(1 / 3)
    assert table["jaccard"].isna().tolist() == [True, False, True]


def test_without_halves_every_pair_of_different_domains(make_store) -> None:
    spots = domain_spots(make_store(Go=values(1), Rust=values(1), English=values(2)), max_k_percent=K)
    table = domain_overlap(spots, [K])
    assert table["jaccard"].tolist() == [1.0, 0.0, 0.0]


def test_code_beside_general_text_by_tensor(make_store) -> None:
    # Positions 0-11 are the head, 12-23 the embedding, 28-43 the MLP's matrix.
    store = make_store(Go=values(0, 30), Rust=values(0, 30), English=values(30, 31))
    table = general_overlap(store, [2 * K]).set_index("tensor")
    assert set(table["second"]) == {"English"}
    mlp = table.loc["model.layers.0.mlp.up_proj.weight"]
    assert (mlp["first_selected"], mlp["second_selected"], mlp["common"]) == (1, 2, 1)
    assert table.loc["lm_head.weight", "common"] == 0
    assert general_overlap(make_store("code-only", Go=values(0)), [K]).empty
