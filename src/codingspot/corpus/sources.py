"""Corpora from local files: JSON lines with a text field, and folders with the files of each domain."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from codingspot.corpus.corpus import Corpus, Domain, DomainKind
from codingspot.errors import CorpusError


def domain_from_jsonl(
    path: Path,
    *,
    name: str | None = None,
    kind: DomainKind = "code",
    text_field: str = "text",
    held_out: bool = False,
) -> Domain:
    """One domain from a JSON-lines file: the text is ``text_field`` of every row; blank texts are dropped.

    The domain is named after the file unless ``name`` is given.

    Raises:
        CorpusError: the file is unreadable or empty, a line is not a JSON object, or it lacks the field.
    """
    texts = tuple(_string(row, text_field, where) for where, row in _rows(path))
    return _domain(name or path.stem, kind, texts, held_out, path)


def corpus_from_jsonl(
    path: Path,
    *,
    name: str | None = None,
    text_field: str = "text",
    domain_field: str = "domain",
    general: Collection[str] = (),
    held_out: Collection[str] = (),
) -> Corpus:
    """A corpus from one JSON-lines file whose rows name their domain in ``domain_field``.

    Domains are of kind code but for those named in ``general``; those named in ``held_out`` are held out.

    Raises:
        CorpusError: the file is unreadable or empty, a row lacks a field, or a named domain is not in it.
    """
    texts: dict[str, list[str]] = {}
    for where, row in _rows(path):
        texts.setdefault(_string(row, domain_field, where), []).append(_string(row, text_field, where))
    _require_known(texts, general, held_out, path)
    return Corpus(
        name or path.stem,
        tuple(
            _domain(domain, _kind(domain, general), tuple(found), domain in held_out, path)
            for domain, found in sorted(texts.items())
        ),
    )


def domain_from_files(
    folder: Path, *, name: str | None = None, kind: DomainKind = "code", held_out: bool = False
) -> Domain:
    """One domain from a folder: every file under it, in order of path, is one text.

    Hidden files and folders are ignored. The domain is named after the folder unless ``name`` is given.

    Raises:
        CorpusError: the folder is missing or empty, or a file is not UTF-8 text.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder; give the folder that holds the domain's files")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    return _domain(name or folder.name, kind, tuple(_read(path) for path in files), held_out, folder)


def corpus_from_folder(
    folder: Path,
    *,
    name: str | None = None,
    text_field: str = "text",
    general: Collection[str] = (),
    held_out: Collection[str] = (),
) -> Corpus:
    """A corpus from a folder: each sub-folder of files, and each ``.jsonl`` file, is a domain named after it.

    Domains are of kind code but for those named in ``general``; those named in ``held_out`` are held out.

    Raises:
        CorpusError: the folder is missing, holds no domain, or lacks one that is named here.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder; give the folder that holds one sub-folder a domain")
    sources = {
        path.stem if path.is_file() else path.name: path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and (path.is_dir() or path.suffix == ".jsonl")
    }
    if not sources:
        raise CorpusError(f"{folder} holds neither sub-folders nor .jsonl files; put one a domain there")
    _require_known(sources, general, held_out, folder)
    domains = []
    for domain, path in sources.items():
        kind, is_held_out = _kind(domain, general), domain in held_out
        if path.is_dir():
            domains.append(domain_from_files(path, name=domain, kind=kind, held_out=is_held_out))
        else:
            domains.append(domain_from_jsonl(path, name=domain, kind=kind, text_field=text_field, held_out=is_held_out))
    return Corpus(name or folder.name, tuple(domains))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a JSON-lines file with where it stands, for messages; empty lines are passed over."""
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{where} is not JSON ({error.msg}); correct or remove it") from None
        if not isinstance(row, dict):
            raise CorpusError(f"{where} is not a JSON object; every line must be one, such as {{'text': '...'}}")
        yield where, row


def _string(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise CorpusError(f"{where} has no text in field {field!r}; it has {', '.join(row) or 'no field'}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"{where} holds half a surrogate pair in {field!r}; correct or remove it") from None
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror}); correct the path") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text; convert or remove it") from None


def _domain(name: str, kind: DomainKind, texts: tuple[str, ...], held_out: bool, source: Path) -> Domain:
    kept = tuple(text for text in texts if text.strip())
    if not kept:
        raise CorpusError(f"{source} holds no text for domain {name!r}; give it at least one document")
    return Domain(name, kind, kept, held_out)


def _kind(domain: str, general: Collection[str]) -> DomainKind:
    return "general" if domain in general else "code"


def _require_known(domains: Collection[str], general: Collection[str], held_out: Collection[str], source: Path) -> None:
    missing = sorted((set(general) | set(held_out)) - set(domains))
    if missing:
        known = ", ".join(sorted(domains)) or "none"
        raise CorpusError(f"{source} has no domain {missing[0]!r} to hold out or call general; choose among {known}")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
