"""Parallel code: the same pieces of program in several languages, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

from codingspot.corpus.languages import canonical_language
from codingspot.corpus.rows import file_rows
from codingspot.errors import CorpusError
from codingspot.files import digest

_IDENTIFIERS = ("task_id", "id")


@dataclass(frozen=True)
class ParallelCorpus:
    """Texts that say the same in every language: row i of one language is row i of every other.

    Texts are kept without the white space around them. ``skipped`` counts, by reason, the rows that were
    met on the way and left out; corpora with equal texts are equal whatever was skipped.

    Attributes:
        name: for records and messages.
        texts: language to its texts, all equally many.
        skipped: reason to number of rows.

    Raises:
        CorpusError: there are fewer than two languages or rows, languages differ in length, or a text is empty.
    """

    name: str
    texts: Mapping[str, tuple[str, ...]]
    skipped: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        stripped = {language: tuple(text.strip() for text in texts) for language, texts in self.texts.items()}
        object.__setattr__(self, "texts", stripped)
        if len(self.texts) < 2:
            there = ", ".join(self.texts) or "none"
            raise CorpusError(
                f"parallel corpus {self.name!r} needs at least two languages and has {there}; add another"
            )
        lengths = {language: len(texts) for language, texts in self.texts.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{language} {length}" for language, length in lengths.items())
            raise CorpusError(
                f"parallel corpus {self.name!r} has columns of different length ({shown}); align its rows"
            )
        if self.rows < 2:
            dropped = f" (left out: {_shown(self.skipped)})" if self.skipped else ""
            raise CorpusError(
                f"parallel corpus {self.name!r} has {self.rows} usable rows{dropped}; it needs two at least"
            )
        for language, texts in self.texts.items():
            for row, text in enumerate(texts):
                if not text:
                    raise CorpusError(
                        f"parallel corpus {self.name!r} has no {language} text in row {row}; remove the row"
                    )

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in the order of the corpus."""
        return tuple(self.texts)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.texts.values())))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over languages and texts, in order."""
        parts = [part for language, texts in self.texts.items() for part in (language, str(len(texts)), *texts)]
        return digest(*parts)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every ordered pair of different languages."""
        return tuple(permutations(self.languages, 2))

    def first_rows(self, rows: int) -> ParallelCorpus:
        """The corpus cut to its first ``rows`` rows."""
        cut = {language: texts[:rows] for language, texts in self.texts.items()}
        return ParallelCorpus(self.name, cut, self.skipped)

    def duplicates(self, language: str) -> int:
        """In how many rows the text of ``language`` repeats that of an earlier row."""
        return self.rows - len(set(self.texts[language]))

    def identical(self, first: str, second: str) -> int:
        """In how many rows two languages have the same text."""
        pairs = zip(self.texts[first], self.texts[second], strict=True)
        return sum(a == b for a, b in pairs)

    def distinct_rows(self, first: str, second: str) -> list[int]:
        """Rows in which the two texts differ and neither repeats that of an earlier row kept."""
        seen: tuple[set[str], set[str]] = set(), set()
        kept = []
        for row, (a, b) in enumerate(zip(self.texts[first], self.texts[second], strict=True)):
            if a != b and a not in seen[0] and b not in seen[1]:
                kept.append(row)
                seen[0].add(a)
                seen[1].add(b)
        return kept


def parallel_corpus(
    name: str,
    rows: Iterable[Mapping[str, str | None]],
    languages: Sequence[str],
    skipped: Mapping[str, int] | None = None,
) -> ParallelCorpus:
    """The rows that have text in every one of ``languages``, without the white space around it; others are counted.

    Raises:
        CorpusError: as :class:`ParallelCorpus`.
    """
    counts = Counter(skipped or {})
    kept: list[list[str]] = []
    for row in rows:
        texts = [str(row.get(language) or "").strip() for language in languages]
        missing = [language for language, text in zip(languages, texts, strict=True) if not text]
        if missing:
            counts[f"no text in {missing[0]}"] += 1
        elif not all(map(_is_unicode, texts)):
            counts["not UTF-8"] += 1
        else:
            kept.append(texts)
    columns = {language: tuple(row[i] for row in kept) for i, language in enumerate(languages)}
    return ParallelCorpus(name, columns, dict(counts))


def read_parallel(path: Path, languages: Sequence[str] | None = None) -> ParallelCorpus:
    """Read a .jsonl, .jsonl.gz or .parquet file of parallel code.

    Either every row has one column a language (``{"C": ..., "Python": ...}``), or it has one text (``{"task_id": ...,
    "language": ..., "code": ...}``), and the rows of one id belong together. Without ``languages``, all columns that
    name a programming language are read. Languages get their canonical names where they are known by one.

    Raises:
        CorpusError: the file can't be read, a language isn't in it, two columns are the same language, or what is left
            is no parallel corpus.
    """
    rows = list(file_rows(path))
    if not rows:
        raise CorpusError(f"{path} holds no rows; give a file with one row a program and one column a language")
    skipped: Counter[str] = Counter()
    by_language = _gathered(rows, path, skipped) if {"language", "code"} <= rows[0].keys() else _named(rows, path)
    there = list(dict.fromkeys(language for row in by_language for language in row))
    if languages is None:
        wanted = [language for language in there if canonical_language(language) is not None]
    else:
        wanted = list(dict.fromkeys(canonical_language(language) or language for language in languages))
        absent = [language for language in wanted if language not in there]
        if absent:
            raise CorpusError(f"{path} has no {absent[0]}; it has {', '.join(there) or 'no language'}")
    return parallel_corpus(path.name.split(".")[0], by_language, wanted, skipped)


def _named(rows: Sequence[Mapping[str, Any]], path: Path) -> list[dict[str, str]]:
    """Rows of columns by canonical language; columns that hold something else than text are not languages."""
    columns: dict[str, str] = {}
    for column in dict.fromkeys(column for row in rows for column in row if column not in _IDENTIFIERS):
        language = canonical_language(column) or column
        if language in columns:
            raise CorpusError(f"{path} has {language} in column {columns[language]!r} and in {column!r}; remove one")
        columns[language] = column
    return [
        {language: row[column] for language, column in columns.items() if isinstance(row.get(column), str)}
        for row in rows
    ]


def _gathered(rows: Sequence[Mapping[str, Any]], path: Path, skipped: Counter[str]) -> list[dict[str, str]]:
    """One row an id, in order of first appearance, from rows of one text each."""
    identifier = next((name for name in _IDENTIFIERS if name in rows[0]), None)
    if identifier is None:
        raise CorpusError(
            f"{path} has rows of one text each but no {' or '.join(_IDENTIFIERS)}; add one to join them by"
        )
    gathered: dict[Any, dict[str, str]] = {}
    for row in rows:
        language, code = row.get("language"), row.get("code")
        if row.get(identifier) is None or not isinstance(language, str) or not isinstance(code, str):
            skipped["no id, language or code"] += 1
            continue
        texts = gathered.setdefault(row[identifier], {})
        name = canonical_language(language) or language
        if name in texts:
            skipped["a second text of the same id and language"] += 1
        else:
            texts[name] = code
    return list(gathered.values())


def _is_unicode(text: str) -> bool:
    """Whether there is no lone surrogate, which stands for a byte that was not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
