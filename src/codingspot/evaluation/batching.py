"""Batches of about equal cost: longest first, at most so many padded tokens each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

WINDOW = 2048
"""Tokens of a window of a long text: what a model's attention takes grows with their square."""


def token_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Put rows of the given lengths into batches of rows of similar length.

    Args:
        lengths: tokens of each row.
        max_tokens: most padded tokens of a batch (rows times the longest row). A longer row stands alone.

    Returns:
        Indices into ``lengths``, longest row first, ties in the order given. Every index occurs once.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = lengths[current[0]] if current else lengths[index]
        if current and (len(current) + 1) * longest > max_tokens:
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    return batches


def filled_batches(lengths: Sequence[int], max_tokens: int) -> list[list[list[int]]]:
    """Put pieces of the given lengths into rows, several to a row, and rows into batches, so that little is padding.

    The longest piece left sets the length of a batch; each of its rows takes the longest piece that still fits, again
    and again (best fit, decreasing).

    Args:
        lengths: tokens of each piece, at least 1.
        max_tokens: most tokens of a batch (rows times their length). A longer piece stands alone.

    Returns:
        Batches of rows of indices into ``lengths``. Every index occurs once.
    """
    left = sorted(range(len(lengths)), key=lambda i: (lengths[i], -i))
    left_lengths = [lengths[i] for i in left]

    def longest_within(gap: int) -> int | None:
        place = bisect_right(left_lengths, gap) - 1
        if place < 0:
            return None
        left_lengths.pop(place)
        return left.pop(place)

    def row_of(length: int) -> Iterator[int]:
        while length and (piece := longest_within(length)) is not None:
            length -= lengths[piece]
            yield piece

    batches: list[list[list[int]]] = []
    while left:
        length = left_lengths[-1]
        batch: list[list[int]] = []
        while (len(batch) + 1) * length <= max(max_tokens, length) and (row := list(row_of(length))):
            batch.append(row)
        batches.append(batch)
    return batches
