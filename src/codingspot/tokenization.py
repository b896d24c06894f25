"""Token ids of texts, with one rule for the tokens that stand around them.

What stands before a text is a policy that goes with the tokenizer (``with_bos``), so that whatever reads texts, packed
or one by one, reads them alike. By default it is what the tokenizer itself adds.

A model continues what it reads, so the tokens that a tokenizer puts before a text stay (most often one that begins it)
and those it would append (an end of text, in some) are left out: nothing follows the end of a text, and the tokens of
a beginning are the first of the whole text's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:  # loading transformers takes seconds
    from transformers import PreTrainedTokenizerBase

BosPolicy = Literal["tokenizer", "none", "document", "sequence"]
"""What stands before a text: what the tokenizer itself adds, nothing, or its beginning-of-text token in any case,
before each document or, of packed sequences (:func:`codingspot.corpus.pack`), once, first in each."""

BOS_POLICIES: tuple[str, ...] = get_args(BosPolicy)

_PROBE = "a"
_POLICY = "codingspot_bos_policy"


def with_bos(tokenizer: PreTrainedTokenizerBase, policy: str) -> PreTrainedTokenizerBase:
    """The tokenizer, by which texts are read under that policy from now on. What it does when called stays the same.

    Raises:
        ValueError: there is no such policy, or no beginning-of-text token for it.
    """
    if policy not in BOS_POLICIES:
        raise ValueError(f"unknown bos {policy!r}; use one of {', '.join(BOS_POLICIES)}")
    if policy in ("document", "sequence") and tokenizer.bos_token_id is None:
        raise ValueError("the tokenizer has no beginning-of-text token; use tokenizer or none")
    setattr(tokenizer, _POLICY, policy)
    return tokenizer


def bos_policy(tokenizer: PreTrainedTokenizerBase) -> BosPolicy:
    """The policy under which the tokenizer's texts are read."""
    policy: BosPolicy = getattr(tokenizer, _POLICY, "tokenizer")
    return policy


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, special_tokens: bool = True) -> list[list[int]]:
    """Token ids of each text.

    Args:
        tokenizer: whose vocabulary is used.
        texts: at least one; one that spells out a special token gets that token.
        special_tokens: put the policy's opening tokens before each text; otherwise add none.
    """
    own = special_tokens and bos_policy(tokenizer) == "tokenizer"
    encoded: list[list[int]] = tokenizer(list(texts), add_special_tokens=own, verbose=False)["input_ids"]
    appended = len(_around(tokenizer)[1]) if own else 0
    opening = opening_tokens(tokenizer) if special_tokens and not own else []
    return [[*opening, *(ids[:-appended] if appended else ids)] for ids in encoded] if appended or opening else encoded


def spans(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[tuple[int, int]]] | None:
    """Where each text's own tokens begin and end, in characters; None where the tokenizer doesn't say."""
    if not tokenizer.is_fast:
        return None
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    found: list[list[tuple[int, int]]] = encoded["offset_mapping"]
    return found


def opening_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that stand before each text, under the tokenizer's policy."""
    policy = bos_policy(tokenizer)
    if policy == "tokenizer":
        return _around(tokenizer)[0]
    return [] if policy == "none" or tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text's own tokens, seen on a short one."""
    whole: list[int] = tokenizer(_PROBE, verbose=False)["input_ids"]
    own: list[int] = tokenizer(_PROBE, add_special_tokens=False, verbose=False)["input_ids"]
    for start in range(len(whole) - len(own) + 1) if own else ():
        end = start + len(own)
        if whole[start:end] == own:
            return whole[:start], whole[end:]
    return [], []
