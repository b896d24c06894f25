"""Local files in place of a task's data set: splits by file name, subjects, examples, published splits."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codingspot.errors import CodingSpotError, EvaluationError
from codingspot.evaluation.local_data import LocalData, read_rows
from codingspot.evaluation.tasks import TaskSpec, load_tasks

_TASK = {"task": "numbers", "test_split": "test", "fewshot_split": "train", "num_fewshot": 1}


def _write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _splits(path: Path, settings: dict[str, Any], *subjects: str) -> dict[str, list[dict[str, Any]]]:
    data = LocalData(path).overrides(settings, frozenset(subjects))["custom_dataset"](config_source="ignored")
    return {name: list(rows) for name, rows in data.items()}


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    pq.write_table(pa.table({"a": [3]}), tmp_path / "train-00000-of-00002.parquet")
    pq.write_table(pa.table({"a": [4]}), tmp_path / "train-00001-of-00002.parquet")
    (tmp_path / "README.md").write_text("not rows")
    assert _splits(tmp_path, _TASK) == {"test": [{"a": 1}, {"a": 2}], "train": [{"a": 3}, {"a": 4}]}


@pytest.mark.parametrize("split", ["test_split", "validation_split"])
def test_a_file_is_the_split_that_is_evaluated(tmp_path: Path, split: str) -> None:
    file = _write(tmp_path / "mine.jsonl", {"a": 1})
    assert _splits(file, {"task": "numbers", split: "held"}) == {"held": [{"a": 1}]}


def test_rows_of_a_subject_go_to_the_task_of_that_subject(tmp_path: Path) -> None:
    rows = [{"subject": subject, "a": number} for number, subject in enumerate(["art", "law", "art"])]
    _write(tmp_path / "test.jsonl", *rows)
    settings = {"task": "x_art", "test_split": "test", "dataset_name": "art"}
    assert [row["a"] for row in _splits(tmp_path, settings, "art", "law")["test"]] == [0, 2]
    assert len(_splits(tmp_path, {**settings, "dataset_name": "main"}, "main")["test"]) == 3
    with pytest.raises(EvaluationError, match="has no rows of subject music"):
        _splits(tmp_path, {**settings, "dataset_name": "music"}, "art", "music")


def test_examples_are_needed_only_where_some_are_shown(tmp_path: Path) -> None:
    data = LocalData(_write(tmp_path / "test.jsonl", {"a": 1}).parent)
    changes = data.overrides({**_TASK, "num_fewshot": 0})
    assert (changes["fewshot_split"], changes["training_split"]) == (None, None)
    with pytest.raises(EvaluationError, match=r"takes its 1 examples from split 'train', which .* lacks"):
        data.overrides(_TASK)
    assert set(data.overrides({**_TASK, "fewshot_config": {"samples": [{"a": 0}]}})) == {"custom_dataset"}


def test_mbpp_is_cut_as_published(tmp_path: Path) -> None:
    rows = [{"task_id": number} for number in (1, 10, 11, 510, 511, 600, 601, 974)]
    file = _write(tmp_path / "all.jsonl", *rows)
    settings = {"task": "mbpp", "test_split": "test", "dataset_path": "google-research-datasets/mbpp"}
    for path in (file, tmp_path):
        found = {name: [row["task_id"] for row in rows] for name, rows in _splits(path, settings).items()}
        assert found == {"prompt": [1, 10], "test": [11, 510], "validation": [511, 600], "train": [601, 974]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "can't be read"),
        ("empty.jsonl", b"\n", "has no rows"),
        ("broken.jsonl", b'{"a": ', "line 1 is not JSON"),
        ("broken.jsonl.gz", gzip.compress(b'{"a": 1}' * 99, mtime=0)[:20], "can't be read"),
        ("binary.jsonl", b"\xff\xfe", "line 1 is not JSON"),
    ],
)
def test_bad_data_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CodingSpotError, match=message):
        read_rows(tmp_path / name)


def test_a_folder_without_the_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"has no \.jsonl"):
        LocalData(tmp_path)
    _write(tmp_path / "train.jsonl", {"a": 1})
    with pytest.raises(EvaluationError, match="has no split 'test', which task numbers evaluates; it has train"):
        LocalData(tmp_path).overrides(_TASK)


@pytest.mark.parametrize(
    ("task", "row", "named"),
    [
        ("piqa", {"goal": "x"}, r"doc_to_choice is made of '\{\{\[sol1, sol2\]\}\}'"),
        ("hellaswag", {"ctx_a": "a"}, "there is no field 'ctx_b'"),
        ("winogrande", {"sentence": "a _ b"}, "there is no field 'answer'"),
    ],
)
def test_rows_that_do_not_fit_a_task_are_named_with_the_field(
    task: str, row: dict[str, str], named: str, tmp_path: Path
) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(
        EvaluationError, match=f"task {task} .* its rows in .*test.jsonl don't fit it .*{named}"
    ) as caught:
        load_tasks([TaskSpec(task, data=file)])
    assert "<ast" not in str(caught.value)
