"""Tasks are found by name, and their local files beside their YAML files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lm_eval.tasks
import lm_eval.utils
import pytest
from lm_eval.tasks import TaskManager

from codingspot.corpus.worlds import WORLDS
from codingspot.errors import EvaluationError
from codingspot.evaluation.harness import TaskLibrary, _leaves
from codingspot.evaluation.tasks import TaskSpec, load_tasks

SHIPPED_TASKS = WORLDS.traits("testbed").tasks

HARNESS = Path(lm_eval.tasks.__file__).parent

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


def test_a_template_is_compiled_once_for_all_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compiles = lm_eval.utils.env.compile

    def compile_(source: str) -> object:
        compiled.append(source)
        return compiles(source)

    monkeypatch.setattr(lm_eval.utils.env, "compile", compile_)
    own = lm_eval.utils.env.from_string
    (task,) = load_tasks([TaskSpec("numbers")], TaskLibrary([_folder(tmp_path, prefix="once ")]))
    assert {request.arguments[0] for request in task.requests} >= {"once Two?", "once Three?"}
    assert compiled.count("once {{question}}") == 1
    assert lm_eval.utils.env.from_string == own


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


def test_a_family_is_found_by_name_or_by_mention() -> None:
    library = TaskLibrary()
    whole = TaskManager(include_path=[HARNESS / "arc", HARNESS / "leaderboard"], include_defaults=False)
    for name in ("arc_easy", "leaderboard_instruction_following"):  # in folders arc and leaderboard
        found = {leaf.name for leaf in _leaves(library._manager_with(name), name, {})}
        assert found == {leaf.name for leaf in _leaves(whole, name, {})}
        assert found


def test_a_group_hands_its_settings_to_its_members(tmp_path: Path) -> None:
    _folder(tmp_path / "a", "first")
    _folder(tmp_path / "b", "second")
    inline = {"group": "inner", "task": [{"task": "second", "num_fewshot": 0}]}
    group = {"group": "both", "task": ["first", inline], "num_fewshot": 1, "metadata": {"version": 1}}
    (tmp_path / "group.yaml").write_text(json.dumps(group))
    tasks = TaskLibrary([tmp_path]).load("both")
    assert [(task.config.task, task.config.num_fewshot) for task in tasks] == [("first", 1), ("second", 0)]
    assert [task.config.num_fewshot for task in TaskLibrary([tmp_path]).load("both", {"num_fewshot": 0})] == [0, 0]


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_the_harnesses_metric_of_code_is_never_imported(name: str, tmp_path: Path) -> None:
    rows = [{"task_id": 11, "prompt": "p", "test": "t", "entry_point": "f", "text": "x", "test_list": ["1", "2", "3"]}]
    (tmp_path / "test.jsonl").write_text(json.dumps(rows[0]))
    (task,) = TaskLibrary().load(name, data=tmp_path)
    assert not [module for module in sys.modules if module.startswith(f"lm_eval.tasks.{name}")]
    assert task.config.metadata["language"] == "python"
    assert list(task.aggregation()) == ["bypass"]


def test_code_tasks_that_make_programs_otherwise_are_refused() -> None:
    with pytest.raises(EvaluationError, match="task cruxeval_output makes programs in a way of its own"):
        TaskLibrary().load("cruxeval_output", data=SHIPPED_TASKS / "humaneval.jsonl")
