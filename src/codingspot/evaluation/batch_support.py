"""How a model's texts may share a batch, found by trying it on the model's present weights.

A model that reads one whole text at a time is right; what saves time is not right for every model. A row of prefix
trees needs an attention mask of its own and explicit positions: flash attention takes no such mask, linear biases and
recurrence no positions. Padding must leave no trace in a recurrent state, a convolution, or positions counted from the
mask. So each is tried on a few random tokens, and used where the logits are those of the text alone up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial

import torch
from transformers import PreTrainedModel

from codingspot.evaluation.cached_batch import CachedBatch
from codingspot.evaluation.likelihood import Continuation, forward_batch, plan

_CONTEXT, _ENDING, _PADDING = 8, 32, 16
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")


class PromptBatching(IntEnum):
    """Which prompts may be completed in one batch; each value allows what those before it do."""

    ALONE = 0
    """One prompt at a time."""
    EQUAL = 1
    """Prompts of equal length."""
    PADDED = 2
    """Shorter prompts are padded on the left."""
    SHARED = 3
    """What all prompts begin with is read once, and shorter prompts are padded behind it."""


def prompt_batching(model: PreTrainedModel) -> PromptBatching:
    """The most that leaves the logits of a short prompt and two tokens after it as they are without company."""
    context, padding, same_length, own, steps = _draw(model, _CONTEXT, _PADDING, _CONTEXT, 1, 2)
    prompt = [*context, *own]
    right = _logits_alone(model, [*prompt, *steps], 3)
    wrong = _logits_alone(model, [*context, *padding, *own, *steps], 3)  # padding read as text
    tried = {
        PromptBatching.SHARED: ([*context, *padding, *own], len(context)),
        PromptBatching.PADDED: ([*context, *padding, *own], 0),
        PromptBatching.EQUAL: ([*same_length, *own], 0),
    }

    def completed(company: list[int], shared: int) -> torch.Tensor:
        batch = CachedBatch(model, [company, prompt], shared)
        found = [batch.logits[1]]
        batch.extend([steps[0], steps[0]])
        found.append(batch.logits[1])
        batch.keep([1])
        batch.extend([steps[1]])
        return torch.stack([*found, batch.logits[0]])

    for batching, arguments in tried.items():
        if _reproduces(model, right, wrong, partial(completed, *arguments)):
            return batching
    return PromptBatching.ALONE


def longest_shared_row(model: PreTrainedModel, max_length: int) -> int:
    """Most tokens of a row in which scored sequences may share a prefix; 0 where the model can't do it.

    Local attention counts columns, not positions, so rows stay within its window.
    """
    limit = smallest_window(model, max_length)
    return limit if limit >= _CONTEXT + 2 * _ENDING and _reads_prefix_trees(model) else 0


def smallest_window(model: PreTrainedModel, max_length: int) -> int:
    """Columns that every layer's attention reaches back over; ``max_length`` where none of them is local."""
    config = model.config.get_text_config()
    windows = [size for name in _WINDOWS if isinstance(size := getattr(config, name, None), int)]
    return min([max_length, *windows])


def _reads_prefix_trees(model: PreTrainedModel) -> bool:
    """Compare the logits in a second ending: in a tree, alone, and (wrongly) after the first ending."""
    context, *endings = _draw(model, _CONTEXT, _ENDING, _ENDING)
    first, second = sorted(endings)  # as a plan orders them
    start = _CONTEXT + 1

    def in_tree() -> torch.Tensor:
        length = _CONTEXT + 2 * _ENDING
        continuations = [Continuation((*context, *ending), start) for ending in (first, second)]
        (batch,) = plan(continuations, max_tokens=length, max_shared_row=length, attention_scale=length**2)
        return forward_batch(model, batch)[1 - _ENDING :].float()

    right = _logits_alone(model, [*context, *second], _ENDING)[:-1]
    wrong = _logits_alone(model, [*context, *first, *second], _ENDING)[:-1]
    return _reproduces(model, right, wrong, in_tree)


def _draw(model: PreTrainedModel, *lengths: int) -> list[list[int]]:
    """Random texts of these lengths, the same every time."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in lengths]


def _logits_alone(model: PreTrainedModel, tokens: Sequence[int], count: int) -> torch.Tensor:
    """Float32 logits [count, vocabulary] after each of a text's last tokens, read whole and by itself."""
    continuation = Continuation((*tokens, tokens[-1]), len(tokens) - count + 1)
    (batch,) = plan([continuation], max_tokens=len(tokens))
    with torch.no_grad():
        return forward_batch(model, batch).float()


def _reproduces(
    model: PreTrainedModel, right: torch.Tensor, wrong: torch.Tensor, attempt: Callable[[], torch.Tensor]
) -> bool:
    """Whether an attempt's logits are the right ones, but for a small part of what a known fault changes.

    That part is the cube root of the weights' rounding step, 0.005 in float32 and 0.2 in bfloat16: rounding grows on
    its way through the layers, while traces of other text change a third as much as the known fault and more.
    """
    try:
        with torch.no_grad():
            found = attempt()
    except Exception:  # an architecture refuses such inputs in whatever way it likes
        return False
    tolerance = float(torch.finfo(model.dtype).eps) ** (1 / 3)
    return bool((found - right).norm() <= tolerance * (wrong - right).norm())
