"""What a user says of a task: which one, on what data, with how many items and examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from codingspot.errors import EvaluationError
from codingspot.settings import Count, Name, Seed, check_fields


@dataclass(frozen=True)
class TaskSpec:
    """Which task, and how it is run. What is None is as the task's YAML file says.

    Attributes:
        name: of a task or a group of tasks, whose items are then pooled.
        data: a local folder of files named after the splits, or the file of the split that is evaluated, with rows
            as on the Hub; None reads the Hub.
        limit: only the first so many items of each task.
        subsample: only so many items of them all, drawn in proportion to their subjects, where they have some, or to
            the tasks of a group.
        subsample_seed: of that draw.
        few_shot: number of solved examples before each question.
        chat_template: whether questions and examples are turns of a conversation, by the tokenizer's template. A code
            task then asks for a fenced block, which is the answer, unless its own prompt opens one.
        metric: which of the task's metrics is the outcome; None takes the first.
        filter: which of its answer filters; None takes the first.
        max_new_tokens: most tokens of a generated answer.
        samples: programs drawn for each problem of a code task; None draws one.
        temperature: of those samples; 0, as None, is greedy.

    Raises:
        EvaluationError: a value is not what its type says, or both ``limit`` and ``subsample`` are given.
    """

    name: Name
    data: Path | None = None
    limit: Count | None = None
    subsample: Count | None = None
    subsample_seed: Seed = 0
    few_shot: Annotated[int, Field(ge=0)] | None = None
    chat_template: bool = False
    metric: str | None = None
    filter: str | None = None
    max_new_tokens: Count | None = None
    samples: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except ValueError as error:
            raise EvaluationError(f"task {self.name}: {error}; correct it") from None
        if self.limit is not None and self.subsample is not None:
            raise EvaluationError(f"task {self.name}: limit and subsample can't be combined; set one of them")
