"""Files of rows in the forms of the Hub's data sets, for tests."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]


def tiny_codes(language: str, response: str, idx: int = 0) -> Row:
    """A row of nampdn-ai/tiny-codes, every column of it."""
    return {
        "prompt": f"Write a {language} program",
        "main_topic": "Health",
        "subtopic": "Diet",
        "adjective": "Short",
        "action_verb": "Write",
        "scenario": "",
        "target_audience": "Beginner",
        "programming_language": language,
        "common_sense_topic": "Food",
        "idx": idx,
        "response": response,
    }


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """A .jsonl, .jsonl.gz or .parquet file of ``rows``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
        return path
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path
