"""Stratified sub-samples."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from codingspot.evaluation.subsampling import stratified

_STRATA = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def test_every_stratum_has_its_share() -> None:
    drawn = stratified(_STRATA, 20, seed=0)
    assert Counter(_STRATA[index] for index in drawn) == {"a": 12, "b": 6, "c": 2}


def test_draws_follow_the_seed_and_the_name() -> None:
    assert stratified(_STRATA, 20, seed=3, name="x") == stratified(_STRATA, 20, seed=3, name="x")
    assert stratified(_STRATA, 20, seed=3, name="x") != stratified(_STRATA, 20, seed=4, name="x")
    assert stratified(_STRATA, 20, seed=3, name="x") != stratified(_STRATA, 20, seed=3, name="y")


def test_all_items_are_drawn_equally_often() -> None:
    strata = ["a", "a", "a", "b", "b", "c"]
    counts = Counter(index for seed in range(3000) for index in stratified(strata, 2, seed=seed))
    assert all(abs(counts[index] / 3000 - 1 / 3) < 0.05 for index in range(6))


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.integers(1, 80), st.integers(0, 5))
def test_a_draw_is_distinct_sorted_and_within_one_item_of_proportional(
    strata: list[str], count: int, seed: int
) -> None:
    drawn = stratified(strata, count, seed=seed)
    assert len(drawn) == min(count, len(strata))
    assert drawn == sorted(set(drawn))
    found = Counter(strata[index] for index in drawn)
    for stratum, size in Counter(strata).items():
        assert abs(found[stratum] - len(drawn) * size / len(strata)) < 1
