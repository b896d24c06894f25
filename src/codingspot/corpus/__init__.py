"""Named texts, where they come from, and the token sequences cut from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.corpus.choice import Choice
    from codingspot.corpus.corpus import Corpus, Domain, DomainKind
    from codingspot.corpus.opening import open_corpus
    from codingspot.corpus.purification import purify
    from codingspot.corpus.sources import Source
    from codingspot.corpus.tokens import PackedTokens, pack

__all__ = [
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

load_lazily(__name__)
