"""Rows of data sets, one at a time: from the Hugging Face Hub, or from local files in the same form."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codingspot.errors import CorpusError
from codingspot.extras import optional_packages
from codingspot.files import reason

ROW_FILES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")
"""Endings of the files that hold rows: JSON lines, gzip-compressed or not, and Parquet."""

_HUB_TIMEOUT_SECONDS = 10.0
_SHUFFLE_BUFFER = 10_000
_PARQUET_BATCH = 1_000


@dataclass(frozen=True)
class HubSet:
    """Where in a Hub repository the rows are. ``files`` for those whose own loading script no longer runs."""

    config: str | None = None
    split: str = "train"
    files: str | None = None


HUB_SETS: Mapping[str, HubSet] = {
    "nampdn-ai/tiny-codes": HubSet(),
    "codeparrot/github-code": HubSet(files="data/*.parquet"),
    "codeparrot/github-code-clean": HubSet(files="data/*.parquet"),
    "bigcode/the-stack-smol": HubSet(),
    "wikimedia/wikipedia": HubSet("20231101.en"),
    "allenai/c4": HubSet("en"),
    "Salesforce/wikitext": HubSet("wikitext-103-raw-v1"),
}
"""Data sets that need no more than their id."""

GENERAL_HUB_SETS = frozenset({"wikimedia/wikipedia", "allenai/c4", "Salesforce/wikitext"})
"""Those of them that hold general text."""


def holds_rows(path: Path) -> bool:
    """Whether a file is one of rows, by its ending."""
    return path.name.endswith(ROW_FILES)


def file_rows(path: Path, *, seed: int | None = None) -> Iterator[Mapping[str, Any]]:
    """Rows of a local .jsonl, .jsonl.gz or .parquet file; with a ``seed``, shuffled within a buffer of 10,000.

    What is not UTF-8 in a JSON line comes as lone surrogates.

    Raises:
        CorpusError: the file can't be read, or is not what its ending says; the message names the line.
    """
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    return rows if seed is None else _shuffled(rows, random.Random(seed))


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _json_row(line, f"{path}, line {number}")
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CorpusError(f"{path} can't be read ({reason}); correct the path or get the file again") from None


def _json_row(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line.decode(errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where} is not JSON ({reason(error)}); correct or remove it") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{where} is not a JSON object; every line must be one, such as {{'text': '...'}}")
    return row


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        for batch in ParquetFile(path).iter_batches(_PARQUET_BATCH):
            yield from batch.to_pylist()
    except (OSError, ArrowException) as error:
        raise CorpusError(f"{path} can't be read ({' '.join(str(error).split())}); get the file again") from None


def _shuffled(rows: Iterator[Mapping[str, Any]], rng: random.Random) -> Iterator[Mapping[str, Any]]:
    buffer: list[Mapping[str, Any]] = []
    for row in rows:
        if len(buffer) < _SHUFFLE_BUFFER:
            buffer.append(row)
            continue
        chosen = rng.randrange(_SHUFFLE_BUFFER)
        buffer[chosen], row = row, buffer[chosen]
        yield row
    rng.shuffle(buffer)
    yield from buffer


def hub_rows(
    repository: str,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    seed: int | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Rows of a data set on the Hugging Face Hub as they arrive; nothing is kept on disk.

    ``repository`` is its id, or a local folder with a copy of it. ``config`` and ``split`` default to those in
    :data:`HUB_SETS`. With a ``seed``, files are shuffled, and rows within a buffer of 10,000.

    Raises:
        CorpusError: the rows can't be got, or there is no such config or split.
    """
    with optional_packages():
        from datasets import load_dataset  # takes seconds

    known = HUB_SETS.get(repository, HubSet())
    builder, options = repository, {"name": config or known.config, "revision": revision}
    if known.files is not None:
        at = f"@{revision}" if revision else ""
        builder, options = "parquet", {"data_files": f"hf://datasets/{repository}{at}/{known.files}"}
    try:
        rows = load_dataset(builder, split=split or known.split, streaming=True, **options)
        yield from rows if seed is None else rows.shuffle(seed=seed, buffer_size=_SHUFFLE_BUFFER)
    except Exception as error:  # `datasets`, the Hub, fsspec, Arrow and the network each have their own
        raise _unreadable(repository, error) from error


def hub_revision(repository: str, revision: str | None = None) -> str:
    """The commit that ``revision`` (the newest without one) of a data set on the Hub stands for.

    Raises:
        CorpusError: the Hub doesn't answer, or the data set doesn't exist, or is gated.
    """
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(repository, revision=revision, timeout=_HUB_TIMEOUT_SECONDS).sha)
    except Exception as error:  # the Hub's own, the network's, and the configuration's
        raise _unreadable(repository, error) from error


def _unreadable(repository: str, error: Exception) -> CorpusError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return CorpusError(
        f"{repository} can't be read from the Hugging Face Hub ({reason}); check the name and the connection, "
        "log in with `hf auth login` if it is gated, or give a local file with its rows"
    )
