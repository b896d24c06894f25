"""Batches hold every row once and keep to their budgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codingspot.evaluation.batching import filled_batches, token_batches


def test_rows_of_similar_length_stand_together() -> None:
    assert token_batches([2, 9, 3, 8, 10], max_tokens=20) == [[4, 1], [3, 2], [0]]


def test_a_row_longer_than_the_budget_stands_alone() -> None:
    assert token_batches([50, 3, 3], max_tokens=10) == [[0], [1, 2]]


def test_no_rows_make_no_batches() -> None:
    assert token_batches([], 10) == []


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 100))
def test_every_row_occurs_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = token_batches(lengths, max_tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_tokens


def test_short_pieces_fill_the_rows_of_long_ones() -> None:
    lengths = [10, 7, 3, 6, 4, 2]
    assert filled_batches(lengths, 30) == [[[0], [1, 2], [3, 4]], [[5]]]


def test_a_piece_longer_than_the_budget_stands_alone() -> None:
    assert filled_batches([50, 3], 10) == [[[0]], [[1]]]


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 100))
def test_every_piece_is_put_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = filled_batches(lengths, max_tokens)
    assert sorted(i for batch in batches for row in batch for i in row) == list(range(len(lengths)))
    for batch in batches:
        longest = max(sum(lengths[i] for i in row) for row in batch)
        assert longest == max(lengths[i] for row in batch for i in row)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens
