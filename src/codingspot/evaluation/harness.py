"""Loading tasks by lm-evaluation-harness, from its own collection and from folders of YAML files.

A YAML task over local files names them in the harness's usual way (``dataset_path: json`` with ``data_files``). Here a
relative file is looked for beside the YAML file, wherever that is installed, and read without the ``datasets`` cache
or the network.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lm_eval.tasks
from datasets import Dataset, DatasetDict
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from codingspot.errors import EvaluationError

SHIPPED_TASKS = Path(__file__).parents[1] / "testbed" / "tasks"
"""Folder of the testbed's tasks."""


class TaskLibrary:
    """Finds tasks by name: in folders of YAML files, then among the testbed's, then among the harness's own.

    Args:
        folders: searched first; of two tasks of one name in them, the later folder's is taken.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = [SHIPPED_TASKS, *folders]
        self._manager = self._index(self._folders)

    def load(self, name: str, overrides: Mapping[str, Any] | None = None) -> list[ConfigurableTask]:
        """The task of that name; for a group or a tag, all its tasks.

        Args:
            name: of a task, group or tag.
            overrides: settings of the task's YAML file to replace, such as ``num_fewshot``.

        Raises:
            EvaluationError: there is no such task, or its data can't be read.
        """
        manager = self._manager_with(name)
        member = {"task": name, **_local_data(manager.task_index[name]), **(overrides or {})}
        try:
            with quiet():
                loaded = manager.load({"group": "codingspot", "task": [member]})
        except Exception as error:  # whatever a task's own code and its data may raise
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise EvaluationError(f"task {name} can't be loaded ({reason}); check its YAML file and data") from error
        return list(loaded["tasks"].values())

    def _manager_with(self, name: str) -> TaskManager:
        """An index that has ``name``. The harness's own 14,000 files take long to index, so most often few are."""
        if name in self._manager.task_index:
            return self._manager
        root = Path(lm_eval.tasks.__file__).parent
        mentions = [path for path in root.rglob("*.yaml") if name.encode() in path.read_bytes()]
        families = sorted({root / path.relative_to(root).parts[0] for path in mentions})
        manager = self._index([*families, *self._folders])
        if mentions and name not in manager.all_subtasks:
            manager = self._index([root, *self._folders])  # the tasks of a group or tag may be in any family
        if name not in manager.task_index:
            raise EvaluationError(
                f"there is no task {name!r} in lm-evaluation-harness or the testbed; correct its name"
            )
        return manager

    def _index(self, folders: Sequence[Path]) -> TaskManager:
        with quiet():
            return TaskManager(include_path=list(folders), include_defaults=False)


def _local_data(entry: Any) -> dict[str, Any]:
    """A setting that makes the harness take a task's local files as we read them; none for other tasks."""
    settings = entry.cfg or {}
    named = (settings.get("dataset_kwargs") or {}).get("data_files")
    if settings.get("dataset_path") != "json" or not isinstance(named, dict) or entry.yaml_path is None:
        return {}
    files = {split: entry.yaml_path.parent / file for split, file in named.items()}
    data = DatasetDict({split: Dataset.from_list(read_json_lines(file)) for split, file in files.items()})
    return {"custom_dataset": lambda **_: data}


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file, which may be compressed with gzip.

    Raises:
        EvaluationError: the file is missing, unreadable or empty.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
    except FileNotFoundError:
        raise EvaluationError(f"the task's data file {path} does not exist; correct data_files in its YAML") from None
    except (OSError, EOFError, ValueError) as error:
        raise EvaluationError(f"{path} is not JSON lines ({error}); make it again") from None
    if not rows:
        raise EvaluationError(f"the task's data file {path} has no rows; add items")
    return rows


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the harness's progress bars and warnings off the terminal."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
