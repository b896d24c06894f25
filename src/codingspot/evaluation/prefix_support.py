"""Whether a model can be given prefix trees, found by trying it on its present weights."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from codingspot.evaluation.likelihood import Continuation, forward_batch, plan

_CONTEXT, _ENDING = 8, 32
_TOLERANCE = 0.1  # of the change that attending to the wrong branch makes; bfloat16 noise is a few per cent
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")


def longest_shared_row(model: PreTrainedModel, max_length: int) -> int:
    """Most tokens of a row in which sequences may share a prefix; 0 where the model can't do it.

    A row of prefix trees needs an attention mask of its own and explicit positions. Flash attention takes
    no such mask, and models with linear biases or recurrence take no positions. Local attention counts
    columns, not positions, so rows stay within its window.
    """
    limit = smallest_window(model, max_length)
    return limit if limit >= _CONTEXT + 2 * _ENDING and _tree_matches_chain(model) else 0


def smallest_window(model: PreTrainedModel, max_length: int) -> int:
    """Columns that every layer's attention reaches back over; ``max_length`` where none of them is local."""
    config = model.config.get_text_config()
    windows = [size for name in _WINDOWS if isinstance(size := getattr(config, name, None), int)]
    return min([max_length, *windows])


@torch.no_grad()
def _tree_matches_chain(model: PreTrainedModel) -> bool:
    """Compare the logits after a second ending: in a tree, alone, and (wrongly) after the first ending."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(vocabulary, (_CONTEXT + 2 * _ENDING,), generator=generator).tolist()
    context, endings = drawn[:_CONTEXT], sorted((drawn[_CONTEXT:-_ENDING], drawn[-_ENDING:]))
    alone = [Continuation((*context, *ending), _CONTEXT + _ENDING - 1) for ending in endings]
    mixed = Continuation((*context, *endings[0], *endings[1]), _CONTEXT + 2 * _ENDING - 1)

    def last_logits(continuations: list[Continuation], max_shared_row: int) -> torch.Tensor:
        batches = plan(
            continuations,
            max_tokens=len(drawn),
            vocabulary=vocabulary,
            max_shared_row=max_shared_row,
            attention_scale=len(drawn) ** 2,
        )
        return forward_batch(model, batches[-1])[-1].float()

    try:
        tree = last_logits(alone, len(drawn))
    except Exception:  # an architecture refuses such inputs in whatever way it likes; then there is no sharing
        return False
    right, wrong = last_logits(alone[1:], 0), last_logits([mixed], 0)
    return bool((tree - right).norm() <= _TOLERANCE * (wrong - right).norm())
