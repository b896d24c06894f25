import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from codingspot.errors import SelectionError
from codingspot.spot import reliability
from codingspot.spot.overlap import chance_jaccard, expected_jaccard

TENTH = 100 * 6 / 64  # six of 64 parameters


def test_the_same_scores_agree_wholly_and_reversed_ones_not_at_all(make_store) -> None:
    scores = torch.arange(1.0, 65.0)
    same = reliability([make_store("a", Go=scores), make_store("b", Go=2 * scores)], [TENTH]).iloc[0]
    assert (same["jaccard"], same["pairs"], same["parameters"]) == (1.0, 1, 6)
    assert same["spearman"] == pytest.approx(1)
    other = reliability([make_store("c", Go=scores), make_store("d", Go=scores.flip(0))], [TENTH]).iloc[0]
    assert other["jaccard"] == 0
    assert other["spearman"] == pytest.approx(-1)
    assert other["chance_jaccard"] == chance_jaccard(6, 6, 64)
    assert other["expected_jaccard"] == pytest.approx(expected_jaccard(6, 6, 64))


def test_three_draws_make_three_pairs_by_hand(make_store, random_scores) -> None:
    draws = [random_scores(seed).abs() for seed in range(3)]
    stores = [make_store(f"draw{i}", Go=draw) for i, draw in enumerate(draws)]
    row = reliability(stores, [TENTH]).iloc[0]
    tops = [set(np.argsort(-draw.numpy())[:6].tolist()) for draw in draws]
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = [len(tops[a] & tops[b]) / len(tops[a] | tops[b]) for a, b in pairs]
    assert row["jaccard"] == pytest.approx(np.mean(expected))
    assert (row["lowest_jaccard"], row["highest_jaccard"]) == pytest.approx((min(expected), max(expected)))
    correlations = [spearmanr(draws[a], draws[b]).statistic for a, b in pairs]
    assert row["spearman"] == pytest.approx(np.mean(correlations))
    assert row["lowest_spearman"] == pytest.approx(min(correlations))


def test_chance_is_counted_in_the_scope(make_store, random_scores) -> None:
    stores = [make_store(f"s{seed}", Go=random_scores(seed)) for seed in range(2)]
    row = reliability(stores, [TENTH], scope="mlp").iloc[0]
    assert row["expected_jaccard"] == pytest.approx(expected_jaccard(6, 6, 16))


def test_one_draw_is_refused(make_store, random_scores) -> None:
    with pytest.raises(SelectionError, match="at least two"):
        reliability([make_store(Go=random_scores(0))], [1])
