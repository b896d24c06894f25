"""The parallel corpora that analyses of representations read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codingspot.corpus.parallel import ParallelCorpus, read_parallel
from codingspot.corpus.worlds import WORLDS
from codingspot.errors import CorpusError
from codingspot.views import ParallelSettings


def open_view_corpus(settings: ParallelSettings, *, seed: int = 0, one_line: bool = False) -> ParallelCorpus:
    """The parallel code that a view's settings name, as :func:`open_parallel` opens it."""
    return open_parallel(
        settings.parallel, languages=settings.languages, rows=settings.rows, one_line=one_line, seed=seed
    )


def open_parallel(
    source: str | None,
    *,
    languages: Sequence[str] | None = None,
    rows: int | None = None,
    one_line: bool = False,
    seed: int = 0,
) -> ParallelCorpus:
    """A file of parallel code, or the testbed's own (``testbed``).

    Args:
        source: a .jsonl, .jsonl.gz or .parquet file (see :func:`read_parallel`), or ``testbed``; None is refused.
        languages: which, in this order; all by default.
        rows: the first so many; all of a file by default, and 200 of the testbed.
        one_line: of the testbed's programs, those of one line.
        seed: of the testbed's programs.

    Raises:
        CorpusError: no source is named, the file can't be read or is no parallel corpus, or a language isn't in it.
    """
    source = require_parallel(source)
    world = WORLDS.traits(source).parallel if source in WORLDS else None
    if world is not None:
        return world(languages, rows=rows, seed=seed, one_line=one_line)
    corpus = read_parallel(Path(source), languages)
    return corpus if rows is None else corpus.first_rows(rows)


def require_parallel(source: str | None, model: str = "the model") -> str:
    """The source of parallel code.

    Raises:
        CorpusError: none is named.
    """
    if source is None:
        raise CorpusError(
            f"no parallel code is named for {model}; name some (parallel or --parallel): a .jsonl, .jsonl.gz or "
            ".parquet file with one column a language, or testbed, the testbed's programs"
        )
    return source
