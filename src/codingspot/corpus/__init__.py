"""Named texts, where they come from, and the token sequences cut from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codingspot.corpus.choice import Choice
from codingspot.corpus.corpus import Corpus, Domain, DomainKind
from codingspot.corpus.opening import open_corpus
from codingspot.corpus.purification import purify
from codingspot.corpus.sources import Source
from codingspot.tokenization import BosPolicy

if TYPE_CHECKING:
    from codingspot.corpus.tokens import PackedTokens, pack

__all__ = [
    "BosPolicy",
    "Choice",
    "Corpus",
    "Domain",
    "DomainKind",
    "PackedTokens",
    "Source",
    "open_corpus",
    "pack",
    "purify",
]


def __getattr__(name: str) -> Any:
    if name not in ("PackedTokens", "pack"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only token sequences need torch, which the processes that purify do without.
    from codingspot.corpus import tokens

    return getattr(tokens, name)
