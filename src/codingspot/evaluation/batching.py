"""Batches of about equal cost: longest first, at most so many padded tokens each."""

from __future__ import annotations

from collections.abc import Sequence


def token_batches(
    lengths: Sequence[int],
    max_tokens: int,
    *,
    scored: Sequence[int] | None = None,
    max_scored: int | None = None,
) -> list[list[int]]:
    """Put rows of the given lengths into batches of rows of similar length.

    Args:
        lengths: tokens of each row.
        max_tokens: most padded tokens of a batch (rows times the longest row). A longer row stands alone.
        scored: positions of each row whose logits are needed; they cost memory in proportion to the
            vocabulary.
        max_scored: most such positions of a batch.

    Returns:
        Indices into ``lengths``, longest row first, ties in the order given. Every index occurs once.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    current_scored = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        added = scored[index] if scored is not None else 0
        longest = lengths[current[0]] if current else lengths[index]
        too_long = (len(current) + 1) * longest > max_tokens
        too_many = max_scored is not None and current_scored + added > max_scored
        if current and (too_long or too_many):
            batches.append(current)
            current, current_scored = [], 0
        current.append(index)
        current_scored += added
    if current:
        batches.append(current)
    return batches
