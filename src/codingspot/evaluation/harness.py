"""Loading tasks by lm-evaluation-harness, from its own collection and from folders of YAML files.

A YAML task over local files names them in the harness's usual way (``dataset_path: json`` with ``data_files``). Here a
relative file is looked for beside the YAML file, wherever that is installed, and read without the ``datasets`` cache
or the network. The harness's own tasks can be given local files too (:mod:`~codingspot.evaluation.local_data`), and
its code tasks are loaded without their metric (:mod:`~codingspot.evaluation.code_tasks`).
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import lm_eval.tasks
import lm_eval.utils
from datasets import Dataset, DatasetDict
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from codingspot.corpus.worlds import WORLDS
from codingspot.errors import CodingSpotError, EvaluationError
from codingspot.evaluation.code_tasks import runs_programs, without_metric
from codingspot.evaluation.declared import TASKS
from codingspot.evaluation.local_data import LocalData, misfit, read_rows

_GROUP_ONLY = frozenset({"group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata"})
"""Settings of a group that are about the group; others are handed to its members."""


@contextlib.contextmanager
def templates_kept() -> Iterator[None]:
    """Inside, the harness compiles each template once, and not anew for each document: most of what loading takes."""
    templates = lm_eval.utils.env
    compiles = templates.from_string
    templates.from_string = lru_cache(maxsize=256)(compiles)
    try:
        yield
    finally:
        templates.from_string = compiles


@dataclass(frozen=True)
class _Leaf:
    """A single task: its YAML file, functions as text, and what the groups it is in replace of it."""

    name: str
    settings: Mapping[str, Any]
    file: Path | None
    inherited: Mapping[str, Any]


class TaskLibrary:
    """Finds tasks by name: among those declared, in folders of YAML files, the testbed's, and the harness's own.

    Args:
        folders: searched first; of two tasks of one name in them, the later folder's is taken.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        worlds = [WORLDS.traits(name).tasks for name in WORLDS]
        self._folders = [*(folder for folder in worlds if folder is not None), *folders]
        self._manager = self._index(self._folders)

    def has_items(self, name: str) -> bool:
        """Whether the items of a task come with it, so that loading it reads nothing from the Hub."""
        return name in TASKS or name in self._manager.task_index

    def load(
        self, name: str, overrides: Mapping[str, Any] | None = None, data: Path | None = None
    ) -> list[ConfigurableTask]:
        """The task of that name; for a group or a tag, all its tasks.

        Args:
            name: of a task, group or tag.
            overrides: settings of the task's YAML file to replace, such as ``num_fewshot``.
            data: local files to read instead of the data set on the Hub.

        Raises:
            EvaluationError: there is no such task, or its data can't be read.
        """
        if name in TASKS:
            return [_declared(name, overrides or {}, data)]
        manager = self._manager_with(name)
        leaves = list(_leaves(manager, name, {}))
        subjects = frozenset(str(leaf.settings.get("dataset_name")) for leaf in leaves)
        local = None if data is None else LocalData(data)
        loaded = []
        for leaf in leaves:
            changes = {**leaf.inherited, **(overrides or {})}
            rows = _own_files(leaf) if local is None else local.overrides({**leaf.settings, **changes}, subjects)
            loaded.append(_load(manager, leaf, {**changes, **rows}, data))
        return loaded

    def _manager_with(self, name: str) -> TaskManager:
        """An index that has ``name``. The harness's own 14,000 files take long to index, so most often few are:
        those of the family that bears the name, or else of all families that mention it."""
        if name in self._manager.task_index:
            return self._manager
        root = Path(lm_eval.tasks.__file__).parent
        for family in dict.fromkeys((name, name.partition("_")[0])):
            manager = self._index([root / family, *self._folders])
            if _is_whole(manager, name):
                return manager
        mentions = [path for path in _settings_files(root) if name.encode() in path.read_bytes()]
        families = sorted({root / path.relative_to(root).parts[0] for path in mentions})
        manager = self._index([*families, *self._folders])
        if mentions and not _is_whole(manager, name):
            manager = self._index([root, *self._folders])
        if name not in manager.task_index:
            raise EvaluationError(
                f"there is no task {name!r} in lm-evaluation-harness or the testbed; correct its name"
            )
        return manager

    def _index(self, folders: Sequence[Path]) -> TaskManager:
        with quiet():
            return TaskManager(include_path=list(folders), include_defaults=False)


def _settings_files(root: Path) -> Iterator[Path]:
    """YAML files and the templates they include, which end in anything."""
    for path in root.rglob("*"):
        if path.suffix not in (".py", ".pyc", ".md") and path.is_file():
            yield path


def _is_whole(manager: TaskManager, name: str) -> bool:
    """Whether the index, made from some families, has all the tasks of ``name``.

    The tasks of a tag may be in any family; those of a group's own tags are in the group's.
    """
    entry = manager.task_index.get(name)
    return entry is not None and entry.kind.name != "TAG" and all(_has(manager, m) for m in _members(entry))


def _has(manager: TaskManager, member: Any) -> bool:
    entry = manager.task_index.get(member) if isinstance(member, str) else None
    return entry is not None and all(_has(manager, inner) for inner in _members(entry))


def _members(entry: Any) -> list[Any]:
    """Members of a group, as its YAML file names them; none of a task or a tag."""
    return list(entry.cfg["task"]) if entry.kind.name == "GROUP" else []


def _leaves(manager: TaskManager, member: str | Mapping[str, Any], inherited: Mapping[str, Any]) -> Iterator[_Leaf]:
    """The single tasks of a task, tag or group, or of a group's member with settings of its own."""
    if isinstance(member, str):
        member = {"task": member}
    name = member.get("group") or member["task"]
    passed = {**inherited, **{key: value for key, value in member.items() if key not in _GROUP_ONLY}}
    entry = manager.task_index.get(name)
    members: list[Any]
    if entry is None and isinstance(member["task"], list):
        members = member["task"]
    elif entry is None:  # a task that stands in the group's own file
        yield _Leaf(name, member, None, passed)
        return
    elif entry.kind.name == "TAG":
        members = sorted(entry.tags)
    elif entry.kind.name == "GROUP":
        passed = {**{key: value for key, value in entry.cfg.items() if key not in _GROUP_ONLY}, **passed}
        members = entry.cfg["task"]
    else:
        yield _Leaf(name, entry.cfg, entry.yaml_path, passed)
        return
    for inner in members:
        yield from _leaves(manager, inner, passed)


def _load(manager: TaskManager, leaf: _Leaf, changes: Mapping[str, Any], data: Path | None) -> ConfigurableTask:
    try:
        with quiet():
            if runs_programs(leaf.settings):
                return ConfigurableTask(config={**without_metric(leaf.settings), **changes})
            (task,) = manager.load({"group": "codingspot", "task": [{"task": leaf.name, **changes}]})["tasks"].values()
            return task
    except CodingSpotError:
        raise
    except Exception as error:  # whatever a task's own code and its data may raise
        if data is not None:
            raise EvaluationError(
                f"task {leaf.name} can't be loaded: its rows in {data} don't fit it ({misfit(error, leaf.settings)}); "
                "give rows with the fields of its data set"
            ) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise EvaluationError(
            f"task {leaf.name} can't be loaded ({reason}); check its YAML file and data, or give it local files as data"
        ) from error


def _declared(name: str, overrides: Mapping[str, Any], data: Path | None) -> ConfigurableTask:
    """A registered task, whose rows it brings itself."""
    if data is not None:
        raise EvaluationError(f"task {name} of {TASKS.source(name)} brings its own rows; leave out data")
    try:
        settings = dict(TASKS[name]())
        rows = DatasetDict({"test": Dataset.from_list(settings.pop("rows"))})
        with quiet():
            return ConfigurableTask(
                config={"task": name, "test_split": "test", **settings, **overrides, "custom_dataset": lambda **_: rows}
            )
    except CodingSpotError:
        raise
    except Exception as error:  # whatever a third party's function may give
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise EvaluationError(f"task {name} of {TASKS.source(name)} can't be made ({reason}); repair it") from error


def _own_files(leaf: _Leaf) -> dict[str, Any]:
    """A setting that makes the harness take the local files of a YAML file as we read them; none for other tasks."""
    named = (leaf.settings.get("dataset_kwargs") or {}).get("data_files")
    if leaf.settings.get("dataset_path") != "json" or not isinstance(named, dict) or leaf.file is None:
        return {}
    files = {split: leaf.file.parent / file for split, file in named.items()}
    data = DatasetDict({split: Dataset.from_list(read_rows(file)) for split, file in files.items()})
    return {"custom_dataset": lambda **_: data}


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
