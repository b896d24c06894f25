"""Token ids of texts, with one rule for the tokens a tokenizer puts around them.

A model continues what it reads, so the tokens that a tokenizer puts before a text stay (most often one that begins it)
and those it would append (an end of text, in some) are left out: nothing follows the end of a text, and the tokens of
a beginning are the first of the whole text's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # loading transformers takes seconds
    from transformers import PreTrainedTokenizerBase

_PROBE = "a"

BosPolicy = Literal["none", "document", "sequence"]
"""Where a beginning-of-text token stands: nowhere, before every document, or first in every sequence."""


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, special_tokens: bool = True) -> list[list[int]]:
    """Token ids of each text.

    Args:
        tokenizer: whose vocabulary is used.
        texts: at least one; one that spells out a special token gets that token.
        special_tokens: put the tokenizer's opening tokens before each text; otherwise add none.
    """
    encoded: list[list[int]] = tokenizer(list(texts), add_special_tokens=special_tokens, verbose=False)["input_ids"]
    appended = len(_around(tokenizer)[1]) if special_tokens else 0
    return [ids[:-appended] for ids in encoded] if appended else encoded


def opening_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that stand before each text."""
    return _around(tokenizer)[0]


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text's own tokens, seen on a short one."""
    whole: list[int] = tokenizer(_PROBE, verbose=False)["input_ids"]
    own: list[int] = tokenizer(_PROBE, add_special_tokens=False, verbose=False)["input_ids"]
    for start in range(len(whole) - len(own) + 1) if own else ():
        end = start + len(own)
        if whole[start:end] == own:
            return whole[:start], whole[end:]
    return [], []
