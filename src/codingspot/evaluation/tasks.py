"""Tasks: their requests, built once, and the outcome of every item from the model's responses to them.

Prompts, filters and metrics are lm-evaluation-harness's. Programs are the exception: completions of a task whose
metadata name a ``language``, which every code task of the harness is given, are judged in the sandbox.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from functools import cached_property, partial

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from transformers import PreTrainedTokenizerBase

from codingspot.errors import EvaluationError
from codingspot.evaluation.chat import render_chat
from codingspot.evaluation.harness import TaskLibrary, templates_kept
from codingspot.evaluation.items import Item
from codingspot.evaluation.programs import Judge
from codingspot.evaluation.results import ItemOutcome
from codingspot.evaluation.subsampling import stratified
from codingspot.evaluation.task_parts import Response, TaskPart
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.files import digest

__all__ = ["EvaluationTask", "Response", "TaskSpec", "load_tasks"]

ChatTemplate = Callable[..., str]


class EvaluationTask:
    """One task: its requests and how responses become outcomes.

    Args:
        spec: which task.
        parts: the harness's tasks; those of a group are pooled, in this order.
        chat_template: makes a text of a conversation; needed where the spec wants it. Where it is given and not wanted,
            the protocol says that it isn't used.

    Attributes:
        name: of the task.
        requests: what the model is asked, item by item. Requests of kind "loglikelihood" are answered by a
            log-likelihood and whether it is greedy's, those of kind "generate_until" by a completion.
        items: number of items evaluated.
        available: number of items there are.
    """

    def __init__(
        self, spec: TaskSpec, parts: Sequence[ConfigurableTask], chat_template: ChatTemplate | None = None
    ) -> None:
        self.name = spec.name
        self._spec = spec
        self._unused_template = chat_template is not None and not spec.chat_template
        self._parts = [
            TaskPart(
                task,
                name=spec.name,
                metric=spec.metric,
                filter_name=spec.filter,
                max_new_tokens=spec.max_new_tokens,
                samples=spec.samples or 1,
                temperature=spec.temperature or 0.0,
                chat=spec.chat_template,
            )
            for task in parts
        ]
        self.available = sum(part.available for part in self._parts)
        first = 0
        for part, chosen in zip(self._parts, self._chosen(), strict=True):
            part.build(first, chosen, chat_template if spec.chat_template else None)
            first += part.available
        self._parts = [part for part in self._parts if part.items]
        self.requests: list[Instance] = [request for part in self._parts for request in part.requests]
        self.items = sum(part.items for part in self._parts)

    @cached_property
    def chance(self) -> float:
        """Chance level, 0-1: mean share of correct choices over the items; 0 for generated answers.

        The share is the mean outcome, by the task's own metric, when each choice in turn is certain to be taken.
        """
        levels = [level for part in self._parts for level in part.chance_levels()]
        return math.fsum(levels) / len(levels)

    @property
    def protocol(self) -> str:
        """How the task is run, in a few words: ``5-shot, acc, 500 of 14,042 items drawn by subject (seed 0)``."""
        part, spec = self._parts[0], self._spec
        said = [f"{part.few_shot}-shot"]
        if self._unused_template:
            said.append("chat template not used")
        if spec.chat_template and part.language is None:  # of programs the measure says so
            said.append("chat template")
        said.append(part.measure)
        if spec.subsample is not None and self.items < self.available:
            column = part.strata_column or ("task" if len(self._parts) > 1 else None)
            drawn = "drawn" if column is None else f"drawn by {column.replace('_', ' ')}"
            said.append(f"{self.items:,} of {self.available:,} items {drawn} (seed {spec.subsample_seed})")
        elif self.items < self.available:
            said.append(f"first {self.items:,} of {self.available:,} items")
        else:
            said.append(f"all {self.items:,} items")
        return ", ".join(said)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that is asked, the items it is judged by, and the protocol."""
        return digest(self.protocol, *self._asked())

    def _asked(self) -> Iterator[str]:
        context = None
        for request in self.requests:
            if request.args[0] != context:  # choices of one question share it, and it can be long
                context = request.args[0]
                yield json.dumps([context, request.doc], sort_keys=True, default=str)
            yield json.dumps(request.args[1:], sort_keys=True, default=str)

    @property
    def packages(self) -> frozenset[str]:
        """Packages outside the standard library that the programs of a code task need."""
        return frozenset(name for part in self._parts for name in part.packages)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Number of each item that is evaluated, as in the results."""
        return tuple(number for part in self._parts for number in part.numbers)

    def asked(self) -> list[Item]:
        """What the evaluated items ask, for people."""
        return [item for part in self._parts for item in part.asked()]

    @property
    def languages(self) -> frozenset[str]:
        """Languages of the programs that answers make."""
        return frozenset(part.language for part in self._parts if part.language is not None)

    def require_outcomes(self) -> None:
        """Make sure that answers have outcomes.

        Raises:
            EvaluationError: the task has no such filter, or no such metric for single items.
        """
        for part in self._parts:
            part.require_outcome()

    def subset(self, numbers: Collection[int]) -> EvaluationTask:
        """The same task with no more than the items of these numbers; its requests are not built again."""
        task = copy(self)
        wanted = frozenset(numbers)
        parts = [part.subset(wanted) for part in self._parts]
        task._parts = [part for part in parts if part.items]
        task.requests = [request for part in task._parts for request in part.requests]
        task.items = sum(part.items for part in task._parts)
        return task

    def outcomes(self, responses: Sequence[Response], judge: Judge | None = None) -> list[ItemOutcome]:
        """Outcome of each item.

        Args:
            responses: one for each of ``requests``, in order.
            judge: for code tasks.

        Raises:
            EvaluationError: the task has no such metric for single items, or needs a judge.
        """
        found: list[ItemOutcome] = []
        start = 0
        for part in self._parts:
            found += part.outcomes(responses[start : start + len(part.requests)], judge)
            start += len(part.requests)
        return found

    def _chosen(self) -> list[list[int]]:
        """Items of each part that are evaluated."""
        sizes = [part.available for part in self._parts]
        if self._spec.subsample is None:
            return [list(range(min(size, self._spec.limit or size))) for size in sizes]
        places = [(number, item) for number, size in enumerate(sizes) for item in range(size)]
        strata = [(number, value) for number, part in enumerate(self._parts) for value in part.strata()]
        drawn = stratified(strata, self._spec.subsample, seed=self._spec.subsample_seed, name=self.name)
        chosen: list[list[int]] = [[] for _ in sizes]
        for number, item in (places[index] for index in drawn):
            chosen[number].append(item)
        return chosen


def load_tasks(
    specs: Sequence[TaskSpec],
    library: TaskLibrary | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> list[EvaluationTask]:
    """Load tasks and build their requests.

    Args:
        specs: the tasks.
        library: where they are found; by default among the testbed's and the harness's own.
        tokenizer: whose chat template is applied where a spec wants it; elsewhere protocols say that it isn't used.

    Raises:
        EvaluationError: a task is unknown or named twice, its data can't be read, or a chat template is wanted and
            there is none.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise EvaluationError(f"task {name} is named twice; results are kept by name, so name it once")
    library = library or TaskLibrary()
    tasks = []
    for spec in specs:
        if spec.chat_template and tokenizer is None:
            raise EvaluationError(f"task {spec.name} wants a chat template; give load_tasks the model's tokenizer")
        chat = None
        if tokenizer is not None and (spec.chat_template or tokenizer.chat_template is not None):
            chat = partial(render_chat, tokenizer)
        overrides = {} if spec.few_shot is None else {"num_fewshot": spec.few_shot}
        with templates_kept():
            tasks.append(EvaluationTask(spec, library.load(spec.name, overrides, spec.data), chat))
    return tasks
