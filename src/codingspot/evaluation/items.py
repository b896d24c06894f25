"""What the items of a run's tasks ask, so that answers can be read beside their questions: ``items.parquet``.

Each question is there once, whatever the number of cells that answer it, and without the solved examples before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from codingspot.escaping import writable
from codingspot.tables import Column, TableSchema, whole

if TYPE_CHECKING:
    from codingspot.evaluation.tasks import EvaluationTask

ITEMS_FILE = "items.parquet"
ITEMS = TableSchema(
    (
        Column("task", pa.string()),
        whole("item"),
        Column("prompt", pa.string()),
        Column("choices", pa.list_(pa.string())),
        Column("target", pa.string()),
    ),
    key=("task", "item"),
    closed=True,
    level=3,
)


@dataclass(frozen=True)
class Item:
    """One item of a task, for people.

    Attributes:
        number: as in the results.
        prompt: the question, without solved examples and without a conversation's marks.
        choices: there are to choose from; none where the answer is a text.
        target: index of the right choice, the first where there are several; otherwise the text that is looked for, or
            the test that a program must pass.
    """

    number: int
    prompt: str
    choices: tuple[str, ...]
    target: str


def item_of(number: int, question: Any, choices: Iterable[Any], target: Any) -> Item:
    """An item from the parts that lm-evaluation-harness makes of a document.

    Args:
        number: as in the results.
        question: text; or, where each choice is the beginning of a text, the index of the right one.
        choices: none where the answer is a text.
        target: text, index of the right choice, or several of either; the text's end where choices begin it.
    """
    texts = tuple(_text(choice) for choice in choices)
    if not isinstance(question, str):
        question, target = target, question
    if isinstance(target, list | tuple):
        target = target[0] if texts and target else "\n".join(map(_text, target))
    shown = _text(target)
    if texts and shown in texts and not isinstance(target, int):
        shown = str(texts.index(shown))
    return Item(number, _text(question), texts, shown)


def items_table(tasks: Iterable[EvaluationTask]) -> pd.DataFrame:
    """One row an item of ``tasks``, in their order, with the columns of ``ITEMS``."""
    rows = [
        (task.name, item.number, item.prompt, list(item.choices), item.target)
        for task in tasks
        for item in task.asked()
    ]
    return pd.DataFrame(rows, columns=ITEMS.names)


def _text(value: Any) -> str:
    return writable(str(value))
