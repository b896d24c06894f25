"""What a study may set of evaluating its cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.models import LARGE_MODEL
from codingspot.settings import Count, Dose, Name, Seconds, Settings
from codingspot.study.cells import Cell, TaskRole


def _kind(entry: Any) -> str:
    return "name" if isinstance(entry, str) else "task"


DEAD_ITEMS = 8
"""Items a task that settle that a model is dead, unless the study says how many."""


TaskEntry = Annotated[Annotated[Name, Tag("name")] | Annotated[TaskSpec, Tag("task")], Discriminator(_kind)]
"""A task by its name, or with settings of its own: ``{name: gsm8k, data: gsm8k/, few_shot: 8, limit: 100}``."""


class TasksWhere(Settings):
    """Which edited models are asked the tasks: those whose perplexity moved."""

    perplexity_ratio: float = Field(
        gt=1, description="by this factor at least, up or down, on one domain or more, beside the original model"
    )


class EvaluationSection(Settings):
    """Tasks by lm-evaluation-harness name; ``code`` and ``general`` enter the metrics, ``other`` is reported.

    Without any, perplexity alone is evaluated; a testbed model has its own tasks where none are named.

    ``limit``, ``code_limit``, ``samples`` and ``temperature`` are for the tasks that don't set their own.
    """

    code: tuple[TaskEntry, ...] = Field((), description="tasks whose mean is the code rate, by name or with settings")
    general: tuple[TaskEntry, ...] = Field((), description="tasks whose mean is general ability")
    other: tuple[TaskEntry, ...] = Field((), description="tasks that are reported beside them")
    limit: Count | None = Field(None, description="first items of each task that isn't code; all where not given")
    code_limit: Count | None = Field(None, description="first items of each code task; all where not given")
    samples: Count = Field(1, description="programs a problem (n of pass@k)")
    temperature: float = Field(0.0, ge=0, description="of the programs that are drawn; 0: greedy")
    batch_tokens: Count | None = Field(None, description="padded tokens of a batch; the adapter's own default")
    sandbox_seconds: Seconds = Field(3.0, description="that a program may run")
    sequential: bool | None = Field(
        None,
        description="a cell stops once its intervals settle on which side of the verdict's thresholds it lies; where "
        f"not given, for models of over {LARGE_MODEL:,} parameters",
    )
    sequential_alpha: float = Field(
        0.05, gt=0, lt=1, description="chance that such an interval ever misses, for each cell and kind of task"
    )
    dead_items: Count | None = Field(
        None,
        description="items a task, drawn at random, asked of a cell whose loss on every domain is beyond a uniform "
        f"guess's; where not given, {DEAD_ITEMS} for models of over {LARGE_MODEL:,} parameters and all for others",
    )
    tasks_at: tuple[Dose, ...] | None = Field(
        None, min_length=1, description="doses at which tasks are asked; of others perplexity is taken alone"
    )
    tasks_where: TasksWhere | None = Field(
        None, description="tasks are asked where perplexity moved; of other cells perplexity is taken alone"
    )
    perplexity_tokens: Count = Field(65_536, description="held-out tokens a domain, at most; documents are drawn")
    perplexity_window: Count = Field(WINDOW, gt=1, description="tokens of the windows that documents are cut into")

    @model_validator(mode="after")
    def _tasks_differ(self) -> EvaluationSection:
        names = [spec.name for _, spec in self.tasks()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"task {name} is named twice; results are kept by name")
        return self

    def for_model(self, parameters: int) -> EvaluationSection:
        """The section with what it leaves open settled for a model of so many parameters."""
        large = parameters > LARGE_MODEL
        sequential = large if self.sequential is None else self.sequential
        dead_items = DEAD_ITEMS if large and self.dead_items is None else self.dead_items
        return self.model_copy(update={"sequential": sequential, "dead_items": dead_items})

    def asks_at(self, cell: Cell) -> bool:
        """Whether tasks are asked at the cell's dose."""
        if self.tasks_at is None or cell.purpose != "dose" or cell.spot is None:
            return cell.purpose != "draw"
        return cell.k_percent in self.tasks_at

    def tasks(self) -> list[tuple[TaskRole, TaskSpec]]:
        """Every task with its role and all its settings, in the order of evaluation."""
        listed: list[tuple[TaskRole, tuple[str | TaskSpec, ...]]] = [
            ("code", self.code),
            ("general", self.general),
            ("other", self.other),
        ]
        return [(role, self._settled(role, entry)) for role, entries in listed for entry in entries]

    def questions(self) -> dict[str, list[str]]:
        """What a sequential evaluation asks: the mean retention of the code tasks, and of the general tasks."""
        named = {kind: [spec.name for role, spec in self.tasks() if role == kind] for kind in ("code", "general")}
        return {kind: names for kind, names in named.items() if names}

    def _settled(self, role: TaskRole, entry: str | TaskSpec) -> TaskSpec:
        spec = TaskSpec(entry) if isinstance(entry, str) else entry
        if spec.limit is None and spec.subsample is None:
            spec = replace(spec, limit=self.code_limit if role == "code" else self.limit)
        if role != "code":
            return spec
        return replace(
            spec,
            samples=self.samples if spec.samples is None else spec.samples,
            temperature=self.temperature if spec.temperature is None else spec.temperature,
        )
