"""A row of prefix trees lets every token see its own sequence and nothing else."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from codingspot.evaluation.prefix_tree import TreeRow, ancestor_mask, subtree_ends

_SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=8)


def _row(sequences: list[list[int]]) -> tuple[TreeRow, list[list[int]]]:
    row = TreeRow()
    return row, [row.add(sequence) for sequence in sequences]


def test_shared_tokens_are_stored_once() -> None:
    row, columns = _row([[1, 2, 3], [1, 2, 4, 5], [1, 6]])
    assert row.tokens == [1, 2, 3, 4, 5, 6]
    assert row.depths == [0, 1, 2, 2, 3, 1]
    assert columns == [[0, 1, 2], [0, 1, 3, 4], [0, 5]]
    assert subtree_ends(row.depths) == [6, 5, 3, 5, 5, 6]
    assert not row.is_chain


def test_one_sequence_and_its_prefixes_are_a_chain() -> None:
    assert _row([[1, 2], [1, 2, 3]])[0].is_chain


def test_the_mask_is_additive_and_shows_ancestors() -> None:
    ends = torch.tensor([subtree_ends([0, 1, 1])])
    lowest = torch.finfo(torch.float32).min
    expected = torch.tensor([[0, lowest, lowest], [0, 0, lowest], [0, lowest, 0]])
    assert torch.equal(ancestor_mask(ends, torch.float32)[0, 0], expected)


@given(_SEQUENCES)
def test_each_token_sees_its_own_sequence_up_to_itself(sequences: list[list[int]]) -> None:
    row, columns = _row(sequences)
    visible = ancestor_mask(torch.tensor([subtree_ends(row.depths)]), torch.float32)[0, 0] == 0
    for sequence, path in zip(sequences, columns, strict=True):
        assert [row.tokens[column] for column in path] == sequence
        assert [row.depths[column] for column in path] == list(range(len(sequence)))
        for position, column in enumerate(path):
            assert visible[column].nonzero().flatten().tolist() == path[: position + 1]


@given(_SEQUENCES)
def test_in_lexicographic_order_every_prefix_is_stored_once(sequences: list[list[int]]) -> None:
    row, _ = _row(sorted(sequences))
    assert len(row) == len({tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence) + 1)})
