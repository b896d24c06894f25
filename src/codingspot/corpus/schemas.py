"""What the rows of known data sets mean: which column holds the text, which its language, and how to take it out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from codingspot.corpus.admission import Reason
from codingspot.corpus.corpus import DomainKind
from codingspot.corpus.fences import fenced_blocks, first_block_with_tag
from codingspot.corpus.languages import canonical_language, language_of_path
from codingspot.errors import CorpusError

Variant = Literal["paper", "released-code"]
"""How tiny-codes' answers are read: every fenced block, or the first with its fence's tag left in the text."""

ENGLISH = "english"
"""The domain of general text that doesn't name its own."""


class Candidate(NamedTuple):
    """A text on its way into a domain; a ``Reason`` in its place says why there is none."""

    domain: str | None
    kind: DomainKind
    text: bytes | str | Reason


@dataclass(frozen=True)
class Reading:
    """How rows are read: the ``languages`` asked for, by canonical name, which other domains are ``general``, and
    for rows of no known schema the ``domain`` and ``kind`` of all, or the column that names the domain.
    """

    languages: Collection[str]
    general: Collection[str] = (ENGLISH,)
    variant: Variant = "paper"
    domain: str | None = None
    kind: DomainKind | None = None
    text_field: str = "text"
    domain_field: str = "domain"


Row = Mapping[str, Any]
Reader = Callable[[Row, Reading], Iterator[Candidate]]


@dataclass(frozen=True)
class Schema:
    """Rows with all of ``columns``, and how the texts of one row are found."""

    name: str
    columns: frozenset[str]
    read: Reader = field(repr=False)


# Tags of blocks that hold something else than a program in the row's language.
# fmt: off
_OTHER_BLOCKS = frozenset({
    "text", "txt", "plain", "plaintext", "output", "console", "terminal", "log", "diff", "markdown", "md", "json",
    "yaml", "yml", "toml", "xml", "ini", "csv", "html", "css", "scss", "http", "regex", "makefile", "cmake",
    "dockerfile", "mermaid", "graphql", "cypher",
})
# fmt: on


def _tiny_codes(row: Row, reading: Reading) -> Iterator[Candidate]:
    language = _asked(row["programming_language"], reading)
    if language is None:
        yield Candidate(None, "code", Reason.OTHER_LANGUAGE)
        return
    if reading.variant == "released-code":
        first = first_block_with_tag(row["response"] or "")
        yield Candidate(language, "code", Reason.NO_BLOCK if first is None else first)
        return
    blocks = list(fenced_blocks(row["response"] or ""))
    if not blocks:
        yield Candidate(language, "code", Reason.NO_BLOCK)
    for block in blocks:
        other = block.tag.lower() in _OTHER_BLOCKS or canonical_language(block.tag) not in (None, language)
        yield Candidate(language, "code", Reason.OTHER_BLOCK if other else block.code)


def _columns(text: str, language: str) -> Reader:
    """Rows whose column ``text`` is a program in the language that column ``language`` names."""

    def read(row: Row, reading: Reading) -> Iterator[Candidate]:
        found = _asked(row[language], reading)
        yield Candidate(found, "code", (row[text] or "") if found else Reason.OTHER_LANGUAGE)

    return read


def _files(row: Row, reading: Reading) -> Iterator[Candidate]:
    """Files of repositories; the language follows from the path where no column names it."""
    named = row.get("language") or language_of_path(row["path"] or "")
    language = _asked(named, reading)
    text = row["code"] if "code" in row else row["content"]
    yield Candidate(language, "code", (text or "") if language else Reason.OTHER_LANGUAGE)


def _text(row: Row, reading: Reading) -> Iterator[Candidate]:
    """Rows with a text and perhaps a domain; a programming language is code, the rest as ``reading`` says."""
    text = row.get(reading.text_field)
    if not isinstance(text, str | bytes):
        raise CorpusError(f"a row has no text in field {reading.text_field!r}; it has {', '.join(row) or 'no field'}")
    named = reading.domain or row.get(reading.domain_field)
    if not isinstance(named, str) or not named:
        raise CorpusError(f"a row has no field {reading.domain_field!r} to name its domain; give the source a domain")
    domain = canonical_language(named) or named
    kind = reading.kind or ("general" if domain in reading.general else "code")
    if kind == "code" and domain != reading.domain and canonical_language(domain) and domain not in reading.languages:
        yield Candidate(None, "code", Reason.OTHER_LANGUAGE)
        return
    yield Candidate(domain, kind, text)


def _asked(spelling: str | None, reading: Reading) -> str | None:
    language = canonical_language(spelling or "")
    return language if language in reading.languages else None


TEXT = Schema("text", frozenset(), _text)
"""Rows of no known data set: a text, and perhaps the name of its domain."""

SCHEMAS: Mapping[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema("tiny-codes", frozenset({"programming_language", "response"}), _tiny_codes),
        Schema("mt-mbpp", frozenset({"task_id", "language", "text", "code"}), _columns("code", "language")),
        Schema("the-stack", frozenset({"content", "lang"}), _columns("content", "lang")),
        Schema("github-code", frozenset({"code", "path", "repo_name"}), _files),
        Schema("github-files", frozenset({"content", "path", "repo_name"}), _files),
        TEXT,
    )
}
"""The known schemas by name, in the order in which rows are compared with their columns."""


def schema_of(row: Row) -> Schema:
    """The first schema all of whose columns ``row`` has; at the least :data:`TEXT`."""
    return next(schema for schema in SCHEMAS.values() if schema.columns <= row.keys())
