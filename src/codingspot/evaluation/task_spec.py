"""What a user says of a task: which one, on what data, with how many items and examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codingspot.errors import EvaluationError


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
        chat_template: whether questions and examples are turns of a conversation, by the tokenizer's template.
        metric: which of the task's metrics is the outcome; None takes the first.
        filter: which of its answer filters; None takes the first.
        max_new_tokens: most tokens of a generated answer.
        samples: programs drawn for each problem of a code task; None draws one.
        temperature: of those samples; 0, as None, is greedy.

    Raises:
        EvaluationError: a number is out of range, or both ``limit`` and ``subsample`` are given.
    """

    name: str
    data: Path | None = None
    limit: int | None = None
    subsample: int | None = None
    subsample_seed: int = 0
    few_shot: int | None = None
    chat_template: bool = False
    metric: str | None = None
    filter: str | None = None
    max_new_tokens: int | None = None
    samples: int | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "subsample", "max_new_tokens", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise EvaluationError(f"task {self.name}: {name} must be at least 1, not {value}")
        for name in ("few_shot", "temperature", "subsample_seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise EvaluationError(f"task {self.name}: {name} must be at least 0, not {value}")
        if self.limit is not None and self.subsample is not None:
            raise EvaluationError(f"task {self.name}: limit and subsample can't be combined; set one of them")
