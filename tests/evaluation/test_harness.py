"""Tasks are found by name, and their local files beside their YAML files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from codingspot.errors import EvaluationError
from codingspot.evaluation.harness import TaskLibrary, read_json_lines

_YAML = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: data/rows.jsonl
    train: data/rows.jsonl
output_type: multiple_choice
test_split: test
fewshot_split: train
doc_to_text: "{prefix}{{{{question}}}}"
doc_to_choice: choices
doc_to_target: label
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
_ROWS = [
    {"question": "Two?", "choices": ["2", "3"], "label": 0},
    {"question": "Three?", "choices": ["2", "3"], "label": 1},
]


def _folder(root: Path, name: str = "numbers", prefix: str = "Q: ") -> Path:
    (root / "data").mkdir(parents=True)
    (root / "task.yaml").write_text(_YAML.format(name=name, prefix=prefix))
    (root / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _ROWS))
    return root


def test_a_data_file_is_looked_for_beside_its_yaml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path / "tasks")
    monkeypatch.chdir("/")
    (task,) = TaskLibrary([folder]).load("numbers")
    assert [doc["question"] for doc in task.eval_docs] == ["Two?", "Three?"]


def test_nothing_is_written_beside_the_data(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "tasks")
    before = sorted(tmp_path.rglob("*"))
    TaskLibrary([folder]).load("numbers")
    assert sorted(tmp_path.rglob("*")) == before


def test_settings_can_be_replaced(tmp_path: Path) -> None:
    (task,) = TaskLibrary([_folder(tmp_path)]).load("numbers", {"num_fewshot": 1})
    assert task.config.num_fewshot == 1


def test_a_later_folder_goes_before_an_earlier_one(tmp_path: Path) -> None:
    folders = [_folder(tmp_path / "a", prefix="first "), _folder(tmp_path / "b", prefix="second ")]
    (task,) = TaskLibrary(folders).load("numbers")
    assert task.doc_to_text(task.eval_docs[0]) == "second Two?"


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvaluationError, match="there is no task 'no_such_task_anywhere'"):
        TaskLibrary().load("no_such_task_anywhere")


def test_a_broken_task_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "task.yaml").write_text(
        _YAML.format(name="numbers", prefix="").replace("test_split: test", "test_split: none")
    )
    with pytest.raises(EvaluationError, match="task numbers can't be loaded"):
        TaskLibrary([folder]).load("numbers")


def test_rows_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "does not exist"),
        ("empty.jsonl", b"\n", "has no rows"),
        ("broken.jsonl", b'{"a": ', "is not JSON lines"),
        ("broken.jsonl.gz", gzip.compress(b'{"a": 1}' * 99)[:20], "is not JSON lines"),
        ("binary.jsonl", b"\xff\xfe", "is not JSON lines"),
    ],
)
def test_bad_data_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EvaluationError, match=message):
        read_json_lines(tmp_path / name)
