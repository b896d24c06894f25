"""Token sequences without padding, cut from a domain's documents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from codingspot.corpus.corpus import Domain
from codingspot.errors import CorpusError
from codingspot.tokenization import BosPolicy, encode

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


def pack(
    domain: Domain,
    tokenizer: PreTrainedTokenizerBase,
    *,
    sequence_length: int,
    token_budget: int | None = None,
    seed: int = 0,
    bos: BosPolicy = "none",
) -> PackedTokens:
    """Cut a domain into token sequences: no exact repeats, documents shuffled by ``seed`` and joined.

    Each document is followed by one end-of-text token. With ``bos`` "document" each begins with the tokenizer's
    beginning-of-text token; with "sequence" every sequence does, as its first of ``sequence_length`` tokens; no special
    token is added besides. Nothing is padded: the remainder shorter than ``sequence_length`` is dropped. With a
    ``token_budget``, packing stops at ``token_budget // sequence_length`` sequences, so a smaller budget with the
    same seed gives a prefix of a larger one. A domain shorter than the budget gives all it has.

    Raises:
        CorpusError: the domain or the budget is shorter than one sequence, or the tokenizer has no end-of-text token,
            or none to begin with where ``bos`` asks for one.
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
    if bos != "none" and tokenizer.bos_token_id is None:
        raise CorpusError("the tokenizer has no beginning-of-text token; set bos to 'none'")

    texts = list(dict.fromkeys(domain.texts))
    random.Random(seed).shuffle(texts)
    before = [tokenizer.bos_token_id] if bos == "document" else []
    prefix = [tokenizer.bos_token_id] if bos == "sequence" else []
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
