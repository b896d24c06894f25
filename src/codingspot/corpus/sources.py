"""Where texts come from: data sets on the Hub, files with rows, folders of source files, plain text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from codingspot.corpus.admission import Reason
from codingspot.corpus.corpus import DomainKind
from codingspot.corpus.languages import canonical_language, language_of_path
from codingspot.corpus.rows import GENERAL_HUB_SETS, file_rows, holds_rows, hub_revision, hub_rows
from codingspot.corpus.schemas import ENGLISH, SCHEMAS, TEXT, Candidate, Reading, Row, Schema, schema_of
from codingspot.errors import CorpusError
from codingspot.settings import NotEmpty, checked

_HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class Source:
    """One place that texts come from.

    ``path`` is one of:

    - a data set's id on the Hugging Face Hub, ``org/name`` or ``org/name@revision``; ``config`` and ``split`` say
      which part of it;
    - a .jsonl, .jsonl.gz or .parquet file of rows. What they mean is seen from their columns, or said by ``schema``
      (see :data:`~codingspot.corpus.schemas.SCHEMAS`); rows of no known data set have their text in ``text_field`` and
      the name of their domain in ``domain_field``, unless ``domain`` names that of all;
    - a folder with one sub-folder of files, or one file of rows, for each domain, named after it (``schema``
      ``domains``), or any folder of source files told apart by their extensions, and of .txt files, each read as a
      text file (``files``). Left open, it is the first where something in it bears the name of a language
      or of a general domain;
    - a text file of any other kind: general text, one text for every paragraph between blank lines (every line, where
      no line is blank);
    - a pattern, such as ``texts/*.txt``.

    General text that names no domain is ``english``.

    Raises:
        CorpusError: ``path`` is empty, or holds a NUL.
    """

    path: str
    schema: str | None = None
    config: str | None = None
    split: str | None = None
    domain: str | None = None
    kind: DomainKind | None = None
    text_field: str = "text"
    domain_field: str = "domain"

    def __post_init__(self) -> None:
        try:
            checked(NotEmpty, self.path)
        except ValueError as error:
            raise CorpusError(f"a corpus's source can't be used: {error}") from None


class Texts(NamedTuple):
    """The texts of a source, the domains they can be of where that is known beforehand, and the commit on the Hub."""

    candidates: Iterator[Candidate]
    domains: frozenset[str] | None
    revision: str | None = None


def texts_of(source: Source, reading: Reading, seed: int | None) -> Texts:
    """What ``source`` holds, in a seeded order (its own without a seed).

    Raises:
        CorpusError: there is nothing of that name, or it can't be read.
    """
    known = (*SCHEMAS, "domains", "files")
    if source.schema not in (None, *known):
        raise CorpusError(f"{source.path}: unknown schema {source.schema!r}; use one of {', '.join(known)}")
    reading = replace(
        reading,
        domain=source.domain,
        kind=source.kind,
        text_field=source.text_field,
        domain_field=source.domain_field,
    )
    path = _path(source.path)
    if path.is_dir():
        return _folder(path, source, reading, seed)
    if path.is_file():
        return _file(path, source, reading, seed)
    matches = _matches(path)
    if matches:
        return _together([_file(match, source, reading, seed) for match in matches])
    hub = _HUB_ID.fullmatch(source.path)
    if hub is None:
        raise CorpusError(f"{source.path} is no file, folder or pattern of files, and no Hub id (org/name); correct it")
    if hub["id"] in GENERAL_HUB_SETS:
        reading = replace(reading, domain=source.domain or ENGLISH, kind=source.kind or "general")
    revision = hub_revision(hub["id"], hub["revision"])
    rows = hub_rows(hub["id"], config=source.config, split=source.split, revision=revision, seed=seed)
    return _rows(source.path, rows, source.schema, reading)._replace(revision=revision)


def _path(given: str) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise CorpusError(f"{given}: there is no user of that name; give the folder itself") from None


def _matches(pattern: Path) -> list[Path]:
    try:
        found = sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    except ValueError as error:
        raise CorpusError(f"{pattern} is no pattern of files ({error}); use * for any part of a name") from None
    return [match for match in found if match.is_file()]


def _rows(origin: str, rows: Iterator[Row], schema_name: str | None, reading: Reading) -> Texts:
    first = next(rows, None)
    if first is None:
        raise CorpusError(f"{origin} holds no rows; give it some")
    schema = SCHEMAS[schema_name] if schema_name else schema_of(first)
    missing = schema.columns - first.keys()
    if missing:
        raise CorpusError(f"{origin} has no column {min(missing)!r}, which schema {schema.name} needs; give another")
    return Texts(_read(chain([first], rows), schema, reading, origin), _domains(schema, reading))


def _read(rows: Iterator[Row], schema: Schema, reading: Reading, origin: str) -> Iterator[Candidate]:
    for row in rows:
        try:
            yield from schema.read(row, reading)
        except CorpusError as error:
            raise CorpusError(f"{origin}: {error}") from None


def _domains(schema: Schema, reading: Reading) -> frozenset[str] | None:
    if schema is not TEXT:
        return frozenset(reading.languages)
    return frozenset({reading.domain}) if reading.domain else None


def _file(path: Path, source: Source, reading: Reading, seed: int | None) -> Texts:
    if holds_rows(path):
        return _rows(str(path), file_rows(path, seed=seed), source.schema, reading)
    language = language_of_path(path)
    if language is not None:
        return Texts(iter([Candidate(source.domain or language, source.kind or "code", _bytes(path))]), None)
    domain = source.domain or ENGLISH
    kind = source.kind or "general"
    return Texts(iter([Candidate(domain, kind, text) for text in _paragraphs(path, seed)]), frozenset({domain}))


def _paragraphs(path: Path, seed: int | None) -> list[str]:
    try:
        text = _bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text; convert or remove it") from None
    pieces = _BLANK_LINES.split(text) if _BLANK_LINES.search(text) else text.split("\n")
    paragraphs = [piece.strip() for piece in pieces if piece.strip()]
    if seed is not None:
        random.Random(seed).shuffle(paragraphs)
    return paragraphs


def _folder(folder: Path, source: Source, reading: Reading, seed: int | None) -> Texts:
    schema = source.schema
    if schema is None:
        files = _files(folder, seed=None)
        if files and all(_is_text(path) and path.parent == folder for path in files):
            return _together([_file(path, source, reading, seed) for path in files])
        names = {canonical_language(name) or name for name in _parts(folder)}
        named = any(canonical_language(name) or name in reading.general for name in names)
        schema = "domains" if named or any(map(holds_rows, folder.iterdir())) else "files"
    if schema == "files":
        files = _files(folder, seed)
        texts = [_file(path, source, reading, seed) for path in files if _is_text(path)]
        code = _by_extension([path for path in files if not _is_text(path)], reading)
        return _together([Texts(code, frozenset(reading.languages)), *texts])
    parts = _parts(folder)
    if not parts:
        raise CorpusError(f"{folder} holds neither sub-folders nor files of rows; put one there for each domain")
    return _together([_part(name, path, source, reading, seed) for name, path in parts.items()])


def _is_text(path: Path) -> bool:
    return path.suffix == ".txt"


def _by_extension(files: list[Path], reading: Reading) -> Iterator[Candidate]:
    for path in files:
        language = language_of_path(path)
        if language in reading.languages:
            yield Candidate(language, "code", _bytes(path))
        else:
            yield Candidate(None, "code", Reason.OTHER_LANGUAGE)


def _parts(folder: Path) -> dict[str, Path]:
    """The sub-folders and files of rows, by name without ending."""
    return {
        path.name.split(".")[0] if path.is_file() else path.name: path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and (path.is_dir() or holds_rows(path))
    }


def _part(name: str, path: Path, source: Source, reading: Reading, seed: int | None) -> Texts:
    domain = canonical_language(name) or name
    kind = source.kind or ("general" if domain in reading.general else "code")
    if path.is_file():
        own = replace(reading, domain=domain, kind=kind)
        return _rows(str(path), file_rows(path, seed=seed), source.schema and TEXT.name, own)
    return Texts((Candidate(domain, kind, _bytes(file)) for file in _files(path, seed)), frozenset({domain}))


def _files(folder: Path, seed: int | None) -> list[Path]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if seed is not None:
        random.Random(seed).shuffle(files)
    return files


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror}); correct the path") from None


def _together(several: list[Texts]) -> Texts:
    domains = frozenset[str]()
    for texts in several:
        if texts.domains is None:
            return Texts(chain.from_iterable(each.candidates for each in several), None)
        domains |= texts.domains
    return Texts(chain.from_iterable(each.candidates for each in several), domains)
