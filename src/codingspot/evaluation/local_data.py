"""Local files in place of a task's data set on the Hub, for the harness's own prompts and metrics to work on.

Rows have the form they have on the Hub. A folder has one file a split, named after it (``test.jsonl``,
``validation.jsonl.gz``, ``train-00000-of-00001.parquet``); a single file is the split that is evaluated.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from codingspot.corpus.rows import file_rows, holds_rows
from codingspot.errors import EvaluationError
from codingspot.files import reason
from codingspot.settings import shown

Row = dict[str, Any]
Splits = Mapping[str, Sequence[Row]]

_SUBJECT = "subject"
_WHOLE = "all"
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def read_rows(path: Path) -> list[Row]:
    """Rows of a .jsonl, .jsonl.gz or .parquet file.

    Raises:
        EvaluationError: the file has no rows.
        CorpusError: the file is missing or unreadable.
    """
    rows = [dict(row) for row in file_rows(path)]
    if not rows:
        raise EvaluationError(f"the task's data file {path} has no rows; add items")
    return rows


class LocalData:
    """The splits in a folder or a file.

    Args:
        path: of the folder or file.

    Raises:
        EvaluationError: there are no rows.
        CorpusError: a file is unreadable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        files = sorted(filter(holds_rows, self._path.iterdir())) if self._path.is_dir() else [self._path]
        if not files:
            raise EvaluationError(f"{path} has no .jsonl, .jsonl.gz or .parquet file; name each after its split")
        self._splits: dict[str, list[Row]] = {}
        for file in files:
            self._splits.setdefault(_split_name(file), []).extend(read_rows(file))

    def rows(self, settings: Mapping[str, Any], subjects: frozenset[str] = frozenset()) -> Splits:
        """Rows of a task, by split.

        Args:
            settings: the task's YAML file.
            subjects: data set names of all the tasks that share these rows. Where rows have such a ``subject``, a
                task has those of its own.

        Raises:
            EvaluationError: the split that is evaluated is missing, or rows of the task's subject are.
        """
        evaluated = settings.get("test_split") or settings.get("validation_split")
        splits = self._named(str(evaluated), str(settings.get("dataset_path")))
        if evaluated not in splits:
            raise EvaluationError(
                f"{self._path} has no split {evaluated!r}, which task {settings['task']} evaluates; "
                f"it has {', '.join(splits)}"
            )
        return self._of_subject(splits, settings.get("dataset_name"), subjects)

    def overrides(self, settings: Mapping[str, Any], subjects: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Settings that make the harness take these rows for a task.

        Args:
            settings: the task's YAML file, with the wanted ``num_fewshot``.
            subjects: as for ``rows``.

        Raises:
            EvaluationError: as ``rows``, or the split that examples come from is missing and some are wanted.
        """
        splits = self.rows(settings, subjects)
        data = DatasetDict({name: Dataset.from_list(list(rows)) for name, rows in splits.items()})
        return {"custom_dataset": lambda **_: data, **self._examples(settings, splits)}

    def _named(self, evaluated: str, data_set: str) -> Splits:
        if _WHOLE in self._splits and data_set in _PUBLISHED_SPLITS:
            return _PUBLISHED_SPLITS[data_set](self._splits[_WHOLE])
        return self._splits if self._path.is_dir() else {evaluated: next(iter(self._splits.values()))}

    def _of_subject(self, splits: Splits, own: str | None, subjects: frozenset[str]) -> Splits:
        present = {row.get(_SUBJECT) for rows in splits.values() for row in rows}
        if not present & subjects:
            return splits
        if own not in present:
            raise EvaluationError(f"{self._path} has no rows of subject {own}; add them or name single subjects' tasks")
        kept = {name: [row for row in rows if row[_SUBJECT] == own] for name, rows in splits.items()}
        return {name: rows for name, rows in kept.items() if rows}

    def _examples(self, settings: Mapping[str, Any], splits: Splits) -> dict[str, Any]:
        """Where solved examples come from. The harness opens their split even where none is shown."""
        configured = settings.get("fewshot_config") or {}
        source = settings.get("fewshot_split") or settings.get("training_split")
        if source is None or source in splits or configured.get("samples"):
            return {}
        if settings.get("num_fewshot"):
            raise EvaluationError(
                f"task {settings['task']} takes its {settings['num_fewshot']} examples from split {source!r}, which "
                f"{self._path} lacks; add it, or set few_shot to 0"
            )
        return {"fewshot_split": None, "training_split": None}


def misfit(error: Exception, settings: Mapping[str, Any]) -> str:
    """What a task with these settings didn't find in its rows: the field, or what is made of its fields, and why."""
    steps = [frame.name for frame in traceback.extract_tb(error.__traceback__) if frame.name.startswith("doc_to_")]
    made = f"{steps[-1]} is made of {shown(settings.get(steps[-1]))}" if steps else ""
    said = "" if "<" in str(error) else reason(error)  # an object's address says nothing
    why = f"there is no field {error}" if isinstance(error, KeyError) else said
    return "; ".join(filter(None, (made, why))) or type(error).__name__


def _split_name(file: Path) -> str:
    return _SHARD.sub("", file.name.split(".")[0])


def _mbpp_splits(rows: Sequence[Row]) -> Splits:
    """MBPP's splits by task_id (Austin et al. 2021, section 2.1): the first ten are for few-shot prompts."""
    ranges = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974)}
    splits = {name: [row for row in rows if first <= row["task_id"] <= last] for name, (first, last) in ranges.items()}
    return {name: found for name, found in splits.items() if found}


_PUBLISHED_SPLITS: Mapping[str, Callable[[Sequence[Row]], Splits]] = {"google-research-datasets/mbpp": _mbpp_splits}
"""Data sets whose one file of all rows is cut into splits by a published rule."""
