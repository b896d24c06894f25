"""Greedy and sampled generation from a causal language model held in memory, many prompts at a time.

1. Prompts of similar length share a batch, padded on the left. What they all begin with is read once. A model whose
   texts that would change is given prompts of equal length, or one at a time (batch_support).
2. One forward pass over the prompts fills the key-value cache; each further pass adds one token to every row.
3. A row ends at an end-of-text token, when its decoded text holds a stop string or a closed block where that ends
   it, at the token limit, or when its logits stop being numbers. Ended rows are dropped from the batch and the cache
   once they are an eighth of it.

The text of a prompt does not depend on what else is in its batch: sampling draws from a stream of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from codingspot.corpus.fences import FENCES, first_block_closed
from codingspot.evaluation.batch_support import PromptBatching, prompt_batching, smallest_window
from codingspot.evaluation.batching import token_batches
from codingspot.evaluation.cached_batch import CachedBatch
from codingspot.evaluation.contrastive import Contrast, ContrastiveBatch

_DROP_SHARE = 8  # ended rows are dropped when they are at least 1 in so many
_WORTH_SHARING = 64  # tokens that need not be read, for which one more forward pass pays
_STOP_MARGIN = 4  # tokens looked at beyond a stop string's bytes: decoders may swallow a leading space


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen and when a text ends.

    Attributes:
        max_new_tokens: most tokens generated.
        stop: a text ends before the first occurrence of any of these strings.
        one_block: whether a text ends with its first fenced block of Markdown too.
        temperature: 0 takes the most probable token; otherwise tokens are drawn from softmax(logits /
            temperature).
        seed: of the draws.
    """

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    one_block: bool = False
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """A generated text, and whether every logit it came from was a number."""

    text: str
    finite: bool = True


@dataclass
class _Row:
    """One text in the making."""

    index: int
    limit: int
    uniforms: np.ndarray | None  # float64 [limit], one draw a token; None when greedy
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    finite: bool = True

    def extend(self, token: int, finite: bool, end_tokens: frozenset[int]) -> None:
        if self.ended:
            return
        self.finite = finite
        self.ended = not finite or token in end_tokens
        if not self.ended:
            self.tokens.append(token)
            self.ended = len(self.tokens) >= self.limit


def truncate_at_stop(text: str, stop: Sequence[str]) -> str:
    """``text`` up to the first occurrence of any stop string."""
    ends = [position for string in stop if string and (position := text.find(string)) >= 0]
    return text[: min(ends)] if ends else text


class TextGenerator(Protocol):
    """What completes prompts."""

    @property
    def batching(self) -> PromptBatching:
        """How prompts may share a batch."""

    def require(self, decoding: Decoding) -> None:
        """Make sure that texts can be generated so.

        Raises:
            EvaluationError: they can't.
        """

    def generate(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Completion]:
        """Complete each prompt, given as token ids; at least one token a prompt."""


class Generator:
    """Generates with one model and tokenizer. The model's weights may change between calls.

    Args:
        model: a Hugging Face causal language model.
        tokenizer: its tokenizer.
        max_batch_tokens: most padded tokens, prompt and completion, that the caches of a batch may hold.
        amateur: another model of the architecture, whose next tokens the model's own are contrasted with.
        contrast: how.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_batch_tokens: int,
        amateur: PreTrainedModel | None = None,
        contrast: Contrast | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_batch_tokens = max_batch_tokens // (1 if amateur is None else 2)
        self._amateur, self._contrast = amateur, contrast or Contrast()
        self.end_tokens = _end_tokens(model, tokenizer)

    @cached_property
    def batching(self) -> PromptBatching:
        """How prompts may share a batch, tried on the model's weights when first asked for."""
        return prompt_batching(self.model)

    def require(self, decoding: Decoding) -> None:
        """Every decoding is possible."""

    def generate(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Completion]:
        """Complete each prompt, given as token ids; at least one token a prompt.

        Raises:
            EvaluationError: the model keeps no key-value cache.
        """
        completions: list[Completion | None] = [None] * len(prompts)
        for batch in self._batches(prompts, decoding.max_new_tokens):
            rows = [_Row(i, decoding.max_new_tokens, _uniforms(decoding, i)) for i in batch]
            self._generate_batch([prompts[i] for i in batch], rows, decoding)
            for row in rows:
                text = str(self.tokenizer.decode(row.tokens, skip_special_tokens=True))
                completions[row.index] = Completion(truncate_at_stop(text, decoding.stop), row.finite)
        return [completion for completion in completions if completion is not None]

    def _batches(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Iterator[list[int]]:
        """Indices of the prompts that are completed together."""
        groups: dict[int, list[int]] = {}
        for index, prompt in enumerate(prompts):
            alike = {PromptBatching.ALONE: index, PromptBatching.EQUAL: len(prompt)}.get(self.batching, 0)
            groups.setdefault(alike, []).append(index)
        for group in groups.values():
            lengths = [len(prompts[index]) + new_tokens for index in group]
            for batch in token_batches(lengths, self.max_batch_tokens):
                yield [group[place] for place in batch]

    def _generate_batch(self, prompts: Sequence[Sequence[int]], rows: Sequence[_Row], decoding: Decoding) -> None:
        batch = self._read(prompts, self._shared_prefix(prompts, decoding.max_new_tokens))
        active = list(rows)
        while True:
            finite = batch.logits.amax(-1).isfinite().tolist()
            chosen = _choose(batch.logits, active, decoding.temperature)
            for row, token, number in zip(active, chosen, finite, strict=True):
                row.extend(token, number, self.end_tokens)
            self._end_complete(active, decoding)
            kept = [i for i, row in enumerate(active) if not row.ended]
            if not kept:
                return
            if (len(active) - len(kept)) * _DROP_SHARE >= len(active):
                batch.keep(kept)
                chosen, active = [chosen[i] for i in kept], [active[i] for i in kept]
            batch.extend(chosen)

    def _read(self, prompts: Sequence[Sequence[int]], shared: int) -> CachedBatch | ContrastiveBatch:
        if self._amateur is None:
            return CachedBatch(self.model, prompts, shared)
        return ContrastiveBatch(self.model, self._amateur, self._contrast, prompts, shared)

    def _shared_prefix(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> int:
        """How many tokens all prompts begin with that are worth reading once, such as a task's examples; 0 if too few.

        Each keeps a token of its own. Padding then stands behind the prefix, where local attention would count it as
        text, so rows that outgrow the model's window are read whole.
        """
        longest = max(len(prompt) for prompt in prompts)
        heads = sorted(tuple(prompt[:-1]) for prompt in prompts)
        same = (one == other for one, other in zip(heads[0], heads[-1], strict=False))
        shared = sum(takewhile(bool, same))
        fits = longest + new_tokens <= smallest_window(self.model, longest + new_tokens)
        worth = self.batching is PromptBatching.SHARED and (len(prompts) - 1) * shared >= _WORTH_SHARING
        return shared if fits and worth else 0

    def _end_complete(self, rows: Sequence[_Row], decoding: Decoding) -> None:
        """End every row whose text now holds what ends it, looking at the last few tokens of each first."""
        stop = (*decoding.stop, *(FENCES if decoding.one_block else ()))
        open_rows = [row for row in rows if not row.ended]
        if not stop or not open_rows:
            return
        reach = max(len(string.encode()) for string in stop) + _STOP_MARGIN  # a token adds a byte or more
        tails = self.tokenizer.batch_decode([row.tokens[-reach:] for row in open_rows])
        for row, tail in zip(open_rows, tails, strict=True):
            if any(string in tail for string in stop):
                text = str(self.tokenizer.decode(row.tokens))
                closed = decoding.one_block and first_block_closed(text)
                row.ended = closed or any(string in text for string in decoding.stop)


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokenizer's end-of-text token and those of the model's generation settings."""
    settings = getattr(model, "generation_config", None)
    ends = getattr(settings, "eos_token_id", None)
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(token for token in [tokenizer.eos_token_id, *listed] if token is not None)


def _uniforms(decoding: Decoding, index: int) -> np.ndarray | None:
    """The draws of one text, from a stream of its own, so that they don't depend on how texts are batched."""
    if decoding.temperature == 0:
        return None
    return np.random.default_rng([decoding.seed, index]).random(decoding.max_new_tokens)


def _choose(logits: torch.Tensor, rows: Sequence[_Row], temperature: float) -> list[int]:
    """The next token of each row: the most probable, or where its next draw falls in the distribution."""
    if temperature == 0:
        return [int(token) for token in logits.argmax(-1).tolist()]
    draws = [float(row.uniforms[min(len(row.tokens), row.limit - 1)]) for row in rows if row.uniforms is not None]
    cumulative = (logits / temperature).softmax(-1).double().cumsum(-1)
    thresholds = torch.tensor(draws, dtype=torch.float64, device=logits.device)[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, thresholds, right=True)[:, 0]
    return [int(token) for token in tokens.clamp(max=logits.shape[-1] - 1).tolist()]
