"""Keyword sets of programming languages, English words, and the single tokens that spell them.

1. Keywords are those of a folder of JSON files (the sets of arXiv 2506.01074), and for languages without a file those
   that the language's tree-sitter grammar spells out.
2. English is the most frequent words of the package wordfreq.
3. A token belongs to a word that it spells whole, with or without a space before it.
4. Tokens of one language alone are its own; those of several (for, if, in) are counted apart, as are English words that
   are keywords too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from transformers import PreTrainedTokenizerBase

from codingspot.corpus.grammars import grammar
from codingspot.corpus.languages import LANGUAGES, canonical_language
from codingspot.errors import ArtefactError, CorpusError
from codingspot.extras import optional_packages
from codingspot.files import digest, parse_json, read_text
from codingspot.records import Record, parse_model

ENGLISH: Final = "english"
SHARED: Final = "shared"
"""The set of keywords that several languages have."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]+")
_VERSION = re.compile(r" \d+$")
_SPACES: Final = ("Ġ", "▁", " ")  # how tokenizers write the space before a word
_DIALECTS: Final = {"php": "language_php_only", "typescript": "language_typescript"}


@dataclass(frozen=True)
class Keywords:
    """Words by language, English under its own name.

    Attributes:
        words: language (canonical where it is known by one) to its keywords.
        english: the most frequent English words.
        skipped: language to entries that are no words (operators, numbers, phrases), counted.
    """

    words: Mapping[str, frozenset[str]]
    english: frozenset[str] = frozenset()
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all words."""
        sets = {**self.words, f"{ENGLISH} words": self.english}
        return digest(*(part for name in sorted(sets) for part in (name, *sorted(sets[name]))))

    def own(self, languages: Collection[str]) -> dict[str, frozenset[str]]:
        """For each of ``languages`` the keywords that none of the others has."""
        found = {}
        for language in languages:
            others = (self.words.get(other, frozenset()) for other in languages if other != language)
            found[language] = self.words.get(language, frozenset()).difference(*others)
        return found


def collect_keywords(folder: Path | None = None, *, languages: Collection[str] = (), english: int = 10_000) -> Keywords:
    """The keywords of all files in ``folder``, and from grammars those of ``languages`` that have no file.

    Args:
        folder: JSON files with ``name`` and ``keywords``; versions of a language (``Python 2``, ``Python 3``) are
            joined. Without it every language with a grammar is taken.
        languages: canonical names that must be there.
        english: how many of the most frequent English words; 0 for none.

    Raises:
        ArtefactError: ``folder`` has no keyword file, or a file is none.
        CorpusError: a language has neither a file nor a grammar.
    """
    words: dict[str, frozenset[str]] = {}
    skipped: dict[str, int] = {}
    for name, listed in _files(folder) if folder else ():
        kept = {cleaned for word in listed if (cleaned := _cleaned(word))}
        words[name] = words.get(name, frozenset()) | kept
        skipped[name] = skipped.get(name, 0) + sum(not _cleaned(word) for word in listed)
    with_grammar = [name for name, language in LANGUAGES.items() if language.grammar is not None]
    for language in dict.fromkeys([*languages, *(() if folder else with_grammar), "typescript", "bash", "julia"]):
        if language not in words:
            words[language] = grammar_keywords(language)
    return Keywords(words, english_words(english), {name: count for name, count in skipped.items() if count})


def english_words(count: int) -> frozenset[str]:
    """The ``count`` most frequent English words, without those that are no word of two letters or more."""
    if not count:
        return frozenset()
    with optional_packages():
        from wordfreq import top_n_list  # takes half a second, which commands that need no word list should not

    return frozenset(word for word in top_n_list("en", count) if _WORD.fullmatch(word))


def _files(folder: Path) -> Iterator[tuple[str, list[str]]]:
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ArtefactError(f"{folder} holds no keyword file; give a folder of JSON files with name and keywords")
    for path in paths:
        text = read_text(path)
        try:
            parse_json(text, "it")
        except ArtefactError as error:
            raise ArtefactError(f"{path} is not JSON ({error}), or take it out of the folder") from None
        way_out = "it needs a name and a list of keywords"
        found = parse_model(text, _KeywordFile, str(path), what="a keyword file", way_out=way_out)
        name = _VERSION.sub("", found.name)
        yield canonical_language(name) or name, found.keywords


class _KeywordFile(Record):
    """The keywords of one version of a language."""

    name: str
    keywords: list[str]


def _cleaned(word: str) -> str | None:
    """The word without what is written around it in some languages; None where it is no word of two letters or more."""
    bare = word.removesuffix("()").lstrip("@#!'\\").rstrip("?")
    return bare if _WORD.fullmatch(bare) else None


def grammar_keywords(language: str) -> frozenset[str]:
    """The words that the tree-sitter grammar of a language spells out.

    Raises:
        CorpusError: the language is unknown or has no grammar.
    """
    rules = grammar(language, _DIALECTS.get(language, "language"))
    kinds = (
        rules.node_kind_for_id(kind)
        for kind in range(1, rules.node_kind_count)  # 0 is the end of the file
        if rules.node_kind_is_visible(kind) and not rules.node_kind_is_named(kind)
    )
    found = frozenset(kind for kind in kinds if kind and _WORD.fullmatch(kind))
    if not found:
        raise CorpusError(f"the grammar of {language} has no keyword; give a folder of keyword files")
    return found


@dataclass(frozen=True)
class TokenSet:
    """The tokens of one set: ``all`` its words, or its ``own`` (no other language's, no keyword's if English)."""

    name: str
    kind: str
    tokens: tuple[int, ...]


def token_sets(keywords: Keywords, tokenizer: PreTrainedTokenizerBase) -> tuple[list[TokenSet], list[str]]:
    """The token sets of every language, of the keywords that several share, and of English; and who has none.

    Sets without a token are left out. Also returned: the languages none of whose keywords is a single token.
    """
    by_word: dict[str, list[int]] = {}
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    for token, piece in enumerate(pieces):
        by_word.setdefault(_spelt(piece), []).append(token)

    def tokens(words: Collection[str]) -> tuple[int, ...]:
        return tuple(sorted(token for word in words for token in by_word.get(word, ())))

    every = frozenset().union(*keywords.words.values())
    counts = {word: sum(word in words for words in keywords.words.values()) for word in every}
    several = {word for word, count in counts.items() if count > 1}
    sets = [
        found
        for language, words in keywords.words.items()
        for found in (TokenSet(language, "all", tokens(words)), TokenSet(language, "own", tokens(words - several)))
    ]
    sets += [
        TokenSet(SHARED, "all", tokens(several)),
        TokenSet(ENGLISH, "all", tokens(keywords.english)),
        TokenSet(ENGLISH, "own", tokens(keywords.english - every)),
    ]
    without = [each.name for each in sets if each.kind == "all" and not each.tokens and each.name in keywords.words]
    return [each for each in sets if each.tokens], without


def _spelt(piece: str | None) -> str:
    """What a token spells, without one space before it."""
    text = piece or ""
    return text[1:] if text.startswith(_SPACES) else text
