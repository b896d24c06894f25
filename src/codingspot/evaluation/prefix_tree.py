"""Token sequences that share prefixes, laid out in one row so that every shared token is computed once.

1. Sequences in lexicographic order are the depth-first walk of their prefix tree (trie): each keeps the
   prefix it shares with the one before and appends the rest.
2. A row is that walk. The token at column i attends to the token at column j when j is i or an ancestor of
   i: when j <= i < end[j], where end[j] is the column at which the tokens below j end.
3. A token's position is its depth in the tree, as it would be were its sequence alone in the row.

This is the attention pattern of tree-structured speculative decoding (Miao et al. 2023, SpecInfer, section
4.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class TreeRow:
    """One prefix tree in depth-first order, grown one sequence at a time.

    Attributes:
        tokens: token ids, one a column.
        depths: depth of each token in the tree, 0 for the first token of a sequence.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self._path: list[int] = []

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def is_chain(self) -> bool:
        """Whether the row is one sequence, for which plain causal attention is right."""
        return all(depth == column for column, depth in enumerate(self.depths))

    def shared_with(self, sequence: Sequence[int]) -> int:
        """Number of leading tokens that ``sequence`` has in common with the sequence added last."""
        for depth, (column, token) in enumerate(zip(self._path, sequence, strict=False)):
            if self.tokens[column] != token:
                return depth
        return min(len(self._path), len(sequence))

    def add(self, sequence: Sequence[int]) -> list[int]:
        """Add a sequence; return the column of each of its tokens.

        Any order is right; in lexicographic order every shared prefix is stored once.
        """
        del self._path[self.shared_with(sequence) :]
        for depth in range(len(self._path), len(sequence)):
            self._path.append(len(self.tokens))
            self.tokens.append(sequence[depth])
            self.depths.append(depth)
        return list(self._path)


def subtree_ends(depths: Sequence[int]) -> list[int]:
    """Column at which the tokens below each token end: the next one that is no deeper, or the row's end."""
    ends = [len(depths)] * len(depths)
    open_columns: list[int] = []
    for column, depth in enumerate(depths):
        while open_columns and depths[open_columns[-1]] >= depth:
            ends[open_columns.pop()] = column
        open_columns.append(column)
    return ends


def ancestor_mask(ends: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask of rows of prefix trees.

    Args:
        ends: int64 [rows, length], from ``subtree_ends``; column + 1 on padding.
        dtype: floating type of the mask, the model's own.

    Returns:
        [rows, 1, length, length]: 0 where the query (third axis) may attend to the key (last axis),
        otherwise the lowest finite number of ``dtype``.
    """
    columns = torch.arange(ends.shape[1], device=ends.device)
    before = columns[None, :] <= columns[:, None]  # [query, key]
    inside = columns[None, :, None] < ends[:, None, :]  # [row, query, key]
    mask = torch.zeros(inside.shape, dtype=dtype, device=ends.device)
    return mask.masked_fill_(~(before & inside), torch.finfo(dtype).min)[:, None]
