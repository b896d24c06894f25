"""Domains and corpora: named texts, each domain a programming language or a general kind of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from codingspot.errors import ArtefactError, CorpusError
from codingspot.escaping import writable
from codingspot.files import digest, read_json, reason, write_json
from codingspot.outputs import new_folder
from codingspot.records import Count, FileName, Record, parse_model, read_model
from codingspot.settings import Name, checked, shown

DomainKind = Literal["code", "general"]

_FORMAT = "codingspot-corpus"
_KINDS = ("code", "general")


@dataclass(frozen=True)
class Domain:
    """Texts of one programming language (kind ``"code"``) or of one sort of general text (``"general"``).

    A held-out domain is left out of scoring and kept for evaluation. ``dropped`` counts, by reason, what was met on
    the way and left out; domains with equal texts are equal whatever was dropped.

    Raises:
        CorpusError: the kind is unknown, the name is empty or too long for a file name, or there is no text.
    """

    name: str
    kind: DomainKind
    texts: tuple[str, ...]
    held_out: bool = False
    dropped: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", writable(self.name))
        try:
            checked(Name, self.name)
        except ValueError as error:
            raise CorpusError(f"a domain has the name {shown(self.name)}, but {error}") from None
        if self.kind not in _KINDS:
            raise CorpusError(f"domain {self.name!r} has kind {self.kind!r}; use 'code' or 'general'")
        if not any(text.strip() for text in self.texts):
            raise CorpusError(f"domain {self.name!r} holds no text; give it at least one document")


@dataclass(frozen=True)
class Corpus:
    """Named domains. Names are unique; the order of the domains is kept.

    ``made`` says how: sources, options and what was dropped before it had a domain. It is no part of equality.

    Raises:
        CorpusError: there is no domain, or two domains share a name.
    """

    name: str
    domains: tuple[Domain, ...]
    made: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", writable(self.name))
        if not self.domains:
            raise CorpusError(f"corpus {self.name!r} has no domain; give it at least one")
        names = [domain.name for domain in self.domains]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise CorpusError(f"corpus {self.name!r} has two domains named {repeated[0]!r}; rename or merge them")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every domain's name, kind, held-out flag and texts, in order, and nothing else."""
        return digest(*self._content())

    def _content(self) -> Iterator[str]:
        for domain in self.domains:
            yield domain.name
            yield domain.kind
            yield "held out" if domain.held_out else "scored"
            yield str(len(domain.texts))
            yield from domain.texts

    @property
    def code(self) -> tuple[Domain, ...]:
        """The domains of kind ``"code"``, held-out ones included."""
        return tuple(domain for domain in self.domains if domain.kind == "code")

    @property
    def general(self) -> tuple[Domain, ...]:
        """The domains of kind ``"general"``, held-out ones included."""
        return tuple(domain for domain in self.domains if domain.kind == "general")

    @property
    def scored(self) -> tuple[Domain, ...]:
        """The domains that are not held out."""
        return tuple(domain for domain in self.domains if not domain.held_out)

    def domain(self, name: str) -> Domain:
        """The domain of that name.

        Raises:
            CorpusError: there is none; the message lists those there are.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        known = ", ".join(domain.name for domain in self.domains)
        raise CorpusError(f"corpus {self.name!r} has no domain {name!r}; it has {known}")

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Write ``manifest.json`` and one JSON-lines file a domain to ``folder``.

        ``force`` replaces what this package wrote there before.

        Raises:
            OutputError: ``folder`` may not be written to (:func:`codingspot.outputs.check_folder`), or overlaps a
                source.
        """
        sources = [source.get("path") for source in self.made.get("sources", ())]
        with new_folder(folder, _FORMAT, inputs=sources, force=force) as temporary:
            entries = []
            for domain in self.domains:
                file = f"{quote(domain.name, safe='')}.jsonl"
                with (temporary / file).open("w", encoding="utf-8") as lines:
                    for text in domain.texts:
                        lines.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                entries.append(
                    {
                        "name": domain.name,
                        "kind": domain.kind,
                        "held_out": domain.held_out,
                        "texts": len(domain.texts),
                        "dropped": dict(domain.dropped),
                        "file": file,
                    }
                )
            write_json(
                temporary / "manifest.json",
                {
                    "format": _FORMAT,
                    "name": self.name,
                    "fingerprint": self.fingerprint,
                    "made": dict(self.made),
                    "domains": entries,
                },
            )

    @staticmethod
    def is_saved(folder: Path) -> bool:
        """Whether ``folder`` was written by :meth:`save`."""
        try:  # a manifest that was cut still says what it was, so that its folder is not read as one of any files
            return f'"format": "{_FORMAT}"'.encode() in (folder / "manifest.json").read_bytes()
        except OSError:
            return False

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Read a corpus written by :meth:`save`.

        Raises:
            ArtefactError: the folder is missing, truncated, corrupt, or holds something else.
        """
        corpus, fingerprint = cls._read(folder)
        if corpus.fingerprint != fingerprint:
            raise ArtefactError(f"corpus {folder} is truncated or was edited since it was saved; make it again")
        return corpus

    @classmethod
    def glance(cls, folder: Path, texts: int) -> Corpus:
        """The domains of a corpus written by :meth:`save`, each with its first ``texts`` texts.

        Raises:
            ArtefactError: as :meth:`load`, as far as that is seen.
        """
        return cls._read(folder, texts)[0]

    @classmethod
    def _read(cls, folder: Path, texts: int | None = None) -> tuple[Corpus, str]:
        """The corpus, or the beginning of it, and the fingerprint that it was saved with."""
        file = folder / "manifest.json"
        manifest = read_json(file)
        if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
            raise ArtefactError(f"{folder} is not a saved corpus; give a folder written by Corpus.save")
        way_out = "it is corrupt, make the corpus again"
        record = read_model(file, _Manifest, what="the manifest of a corpus", way_out=way_out)
        try:
            corpus = cls(
                record.name,
                tuple(
                    Domain(entry.name, entry.kind, read, entry.held_out, entry.dropped)
                    for entry in record.domains
                    for read in [_read_texts(folder / entry.file, texts)]
                ),
                manifest.get("made", {}),
            )
        except CorpusError as error:
            raise ArtefactError(f"corpus {folder} is corrupt ({error}); make it again") from None
        return corpus, record.fingerprint


class _Made(Record):
    """What the program reads again of how a corpus was made."""

    tokens: Mapping[str, Count] = Field(default_factory=dict)
    languages: tuple[str, ...] = ()
    dropped: Mapping[str, Count] = Field(default_factory=dict)


class _Entry(Record):
    """One domain of a saved corpus."""

    name: str
    kind: DomainKind
    held_out: bool
    dropped: Mapping[str, Count] = Field(default_factory=dict)
    file: FileName


class _Manifest(Record):
    """``manifest.json`` of a saved corpus."""

    name: str
    fingerprint: str
    made: _Made = _Made()
    domains: tuple[_Entry, ...]


class _Line(Record):
    """One line of a domain's file."""

    text: str


def _read_texts(file: Path, most: int | None) -> tuple[str, ...]:
    way_out = "make the corpus again"
    try:
        with file.open(encoding="utf-8") as lines:
            return tuple(
                parse_model(line, _Line, str(file), what=f"a domain's texts in line {number}", way_out=way_out).text
                for number, line in enumerate(islice(lines, most), start=1)
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{file} is missing, truncated or corrupt ({reason(error)}); {way_out}") from None
