"""Token sequences without padding, cut from a domain's documents."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.corpus.corpus import Domain
from codingspot.errors import CorpusError
from codingspot.tokenization import bos_policy, encode, opening_tokens

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedTokenizerBase

_TOKENIZER_BATCH = 256


@dataclass(frozen=True)
class PackedTokens:
    """Equally long token sequences of one domain.

    ``documents`` is how many documents went in, whole or in part; ``duplicates`` how many exact repeats of an
    earlier document were left out of the domain before packing.
    """

    domain: str
    input_ids: Int64[Tensor, "sequences length"]
    documents: int
    duplicates: int

    @property
    def tokens(self) -> int:
        """How many tokens are in the sequences."""
        return self.input_ids.numel()

    @property
    def predicted_tokens(self) -> int:
        """How many tokens a causal model predicts: all but the first of every sequence."""
        sequences, length = self.input_ids.shape
        return sequences * (length - 1)

    def first(self, tokens: int | None) -> PackedTokens:
        """The first sequences, as many as so many tokens hold and at least one; all of them for None."""
        if tokens is None:
            return self
        return replace(self, input_ids=self.input_ids[: max(1, tokens // self.input_ids.shape[1])])

    def starts(self, draws: int, token_budget: int | None = None) -> tuple[int, ...]:
        """The sequence that each of so many draws begins with: equal shares of the budget, or else of what there is."""
        share = (self.tokens if token_budget is None else token_budget) // draws
        return tuple(draw * share // self.input_ids.shape[1] for draw in range(draws))

    def parts(self, starts: Sequence[int]) -> list[PackedTokens]:
        """The sequences from each of ``starts`` to the next."""
        ends = pairwise((*starts, len(self.input_ids)))
        return [replace(self, input_ids=self.input_ids[low:high]) for low, high in ends]


def pack(
    domain: Domain,
    tokenizer: PreTrainedTokenizerBase,
    *,
    sequence_length: int,
    token_budget: int | None = None,
    seed: int = 0,
) -> PackedTokens:
    """Cut a domain into token sequences: no exact repeats, documents shuffled by ``seed`` and joined.

    Each document is followed by one end-of-text token, and begins with what the tokenizer's policy puts before a text
    (:func:`codingspot.tokenization.with_bos`); under "sequence" every sequence begins with it instead, as the first of
    its ``sequence_length`` tokens. Nothing is padded: the remainder shorter than ``sequence_length`` is dropped. With a
    ``token_budget``, packing stops at ``token_budget // sequence_length`` sequences, so a smaller budget with the
    same seed gives a prefix of a larger one. A domain shorter than the budget gives all it has.

    Raises:
        CorpusError: the domain or the budget is shorter than one sequence, or the tokenizer has no end-of-text token.
    """
    if sequence_length < 2:
        raise CorpusError(f"sequence_length is {sequence_length}; a sequence needs at least 2 tokens")
    if token_budget is not None and token_budget < sequence_length:
        raise CorpusError(
            f"the token budget of domain {domain.name!r} ({token_budget}) is shorter than one sequence "
            f"({sequence_length} tokens); raise the budget or lower sequence_length"
        )
    if tokenizer.eos_token_id is None:
        raise CorpusError("the tokenizer has no end-of-text token to join documents; set its eos_token")

    texts = list(dict.fromkeys(domain.texts))
    random.Random(seed).shuffle(texts)
    opening = opening_tokens(tokenizer)
    before, prefix = ([], opening) if bos_policy(tokenizer) == "sequence" else (opening, [])
    length = sequence_length - len(prefix)
    wanted = None if token_budget is None else token_budget // sequence_length * length
    stream: list[int] = []
    documents = 0
    for ids in _tokenized(texts, tokenizer):
        if wanted is not None and len(stream) >= wanted:
            break
        stream += [*before, *ids, tokenizer.eos_token_id]
        documents += 1

    available = len(stream) if wanted is None else min(len(stream), wanted)
    sequences = available // length
    if sequences == 0:
        raise CorpusError(
            f"domain {domain.name!r} has {len(stream)} tokens, fewer than one sequence of {sequence_length}; "
            "add text or lower sequence_length"
        )
    cut = torch.tensor(stream[: sequences * length], dtype=torch.int64).view(sequences, length)
    first = torch.tensor(prefix, dtype=torch.int64).expand(sequences, len(prefix))
    return PackedTokens(
        domain=domain.name,
        input_ids=torch.cat((first, cut), dim=1),
        documents=documents,
        duplicates=len(domain.texts) - len(texts),
    )


def _tokenized(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    for start in range(0, len(texts), _TOKENIZER_BATCH):
        batch = texts[start : start + _TOKENIZER_BATCH]
        yield from encode(tokenizer, batch, special_tokens=False)
