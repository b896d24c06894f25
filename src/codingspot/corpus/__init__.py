"""Named texts and the token sequences cut from them."""

from codingspot.corpus.corpus import Corpus, Domain, DomainKind
from codingspot.corpus.sources import (
    corpus_from_folder,
    corpus_from_jsonl,
    domain_from_files,
    domain_from_jsonl,
)
from codingspot.corpus.tokens import PackedTokens, pack

__all__ = [
    "Corpus",
    "Domain",
    "DomainKind",
    "PackedTokens",
    "corpus_from_folder",
    "corpus_from_jsonl",
    "domain_from_files",
    "domain_from_jsonl",
    "pack",
]
