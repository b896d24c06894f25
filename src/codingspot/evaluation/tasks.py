"""Tasks: their requests, built once, and the outcome of every item from the model's responses to them.

Prompts, filters and metrics are lm-evaluation-harness's. Programs are the exception: a task whose YAML file names a
``language`` in its metadata has its completions judged in the sandbox.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from codingspot.errors import EvaluationError
from codingspot.evaluation.generation import Completion
from codingspot.evaluation.harness import TaskLibrary, quiet
from codingspot.evaluation.programs import Judge, make_program
from codingspot.evaluation.results import ItemOutcome
from codingspot.sandbox import Verdict

NON_FINITE = "non-finite"
"""Verdict on an item where the model's logits were not numbers; its outcome is 0."""

Response = tuple[float, bool] | Completion
_CERTAIN = 1e4  # nats by which one choice is ahead when chance levels are computed


@dataclass(frozen=True)
class TaskSpec:
    """Which task, and how it is run. What is None is as the task's YAML file says.

    Attributes:
        name: of a task or a group of tasks, whose items are then pooled.
        limit: only the first so many items of each task.
        metric: which of the task's metrics is the outcome; None takes the first.
        filter: which of its answer filters; None takes the first.
        fewshot: number of solved examples before each question.
        samples: programs drawn for each problem of a code task.
        temperature: of those samples; 0 is greedy.
    """

    name: str
    limit: int | None = None
    metric: str | None = None
    filter: str | None = None
    fewshot: int | None = None
    samples: int = 1
    temperature: float = 0.0


class EvaluationTask:
    """One task: its requests and how responses become outcomes.

    Attributes:
        name: of the task.
        requests: what the model is asked, item by item. Requests of kind "loglikelihood" are answered by a
            log-likelihood and whether it is greedy's, those of kind "generate_until" by a completion.
        items: number of items.
    """

    def __init__(self, spec: TaskSpec, parts: Sequence[ConfigurableTask]) -> None:
        self.name = spec.name
        self._spec = spec
        self._parts: list[_Part] = []
        for task in parts:
            first = self._parts[-1].end if self._parts else 0
            self._parts.append(_Part(task, spec, first))
        self.requests: list[Instance] = [request for part in self._parts for request in part.requests]
        self.items = self._parts[-1].end

    @cached_property
    def chance(self) -> float:
        """Chance level, 0-1: mean share of correct choices over the items; 0 for generated answers.

        The share is the mean outcome, by the task's own metric, when each choice in turn is certain to be taken.
        """
        levels = [level for part in self._parts for level in part.chance_levels()]
        return math.fsum(levels) / len(levels)

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


def load_tasks(specs: Sequence[TaskSpec], library: TaskLibrary | None = None) -> list[EvaluationTask]:
    """Load tasks and build their requests.

    Raises:
        EvaluationError: a task is unknown, or its data can't be read.
    """
    library = library or TaskLibrary()
    tasks = []
    for spec in specs:
        overrides = {} if spec.fewshot is None else {"num_fewshot": spec.fewshot}
        tasks.append(EvaluationTask(spec, library.load(spec.name, overrides)))
    return tasks


class _Part:
    """One task of the harness. Its items are numbered from ``first``; ``end`` is one past the last."""

    def __init__(self, task: ConfigurableTask, spec: TaskSpec, first: int) -> None:
        self._task, self._spec = task, spec
        self._language: str | None = (task.config.metadata or {}).get("language")
        for name in ("doc_to_text", "doc_to_target", "doc_to_choice"):
            setattr(task, name, _remembered(getattr(task, name)))
        task.set_fewshot_seed(1234)  # the harness's own
        with quiet():
            task.build_all_requests(limit=spec.limit)
        instances = sorted(task.instances, key=lambda request: (request.doc_id, request.idx))
        groups = [list(group) for _, group in groupby(instances, key=lambda request: request.doc_id)]
        if self._language is not None:
            groups = [[_sampled(request, spec)] * spec.samples for (request,) in groups]
        self._items: list[list[Instance]] = groups
        self._numbers = range(first, first + len(groups))
        self.end = first + len(groups)
        self.requests = [request for group in groups for request in group]

    def outcomes(self, responses: Sequence[Response], judge: Judge | None) -> list[ItemOutcome]:
        answers = iter(responses)
        answered = [[next(answers) for _ in group] for group in self._items]
        if self._language is not None:
            return self._judged(answered, judge)
        return [
            self._scored(number, group, given)
            for number, group, given in zip(self._numbers, self._items, answered, strict=True)
        ]

    def chance_levels(self) -> list[float]:
        if self._task.OUTPUT_TYPE != "multiple_choice":
            return [0.0] * len(self._items)
        levels = []
        for group in self._items:
            choices = range(len(self._task.doc_to_choice(group[0].doc)))
            certain = [[(0.0 if i == taken else -_CERTAIN, False) for i in range(len(group))] for taken in choices]
            levels.append(math.fsum(self._outcome(group, given) for given in certain) / len(certain))
        return levels

    def _scored(self, number: int, group: Sequence[Instance], given: Sequence[Response]) -> ItemOutcome:
        sample, finite = _sample(given)
        if not finite:
            return ItemOutcome(self._spec.name, number, 0.0, sample, NON_FINITE)
        plain = [answer.text if isinstance(answer, Completion) else answer for answer in given]
        return ItemOutcome(self._spec.name, number, self._outcome(group, plain), sample)

    def _outcome(self, group: Sequence[Instance], answers: Sequence[Any]) -> float:
        """The metric of one item, after the task's filter."""
        for request, answer in zip(group, answers, strict=True):
            request.resps = [answer]
        ensemble = self._filter()
        ensemble.apply(list(group))
        filtered = [request.filtered_resps[ensemble.name] for request in group]
        metrics = self._task.process_results(group[0].doc, filtered)
        name = self._spec.metric or next(iter(metrics))
        value = metrics.get(name)
        if not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise EvaluationError(
                f"task {self._spec.name} has no outcome between 0 and 1 named {name!r} for single items; "
                f"choose another metric of {', '.join(metrics)}"
            )
        return float(value)

    def _filter(self) -> Any:
        ensembles = {ensemble.name: ensemble for ensemble in self._task._filters}
        name = self._spec.filter or next(iter(ensembles))
        if name not in ensembles:
            raise EvaluationError(
                f"task {self._spec.name} has no filter {name!r}; choose one of {', '.join(ensembles)}"
            )
        return ensembles[name]

    def _judged(self, answered: Sequence[Sequence[Response]], judge: Judge | None) -> list[ItemOutcome]:
        if judge is None or self._language is None:
            raise EvaluationError(f"task {self._spec.name} runs generated programs; give the evaluation a sandbox")
        programs = [
            make_program(group[0].doc, _text(answer), self._language)
            for group, given in zip(self._items, answered, strict=True)
            for answer in given
        ]
        verdicts = iter(judge.verdicts(programs))
        found = []
        for number, given in zip(self._numbers, answered, strict=True):
            judged = [next(verdicts) for _ in given]
            finite = all(not isinstance(answer, Completion) or answer.finite for answer in given)
            passed = sum(verdict is Verdict.PASSED for verdict in judged) / len(judged) if finite else 0.0
            said = [str(verdict) for verdict in judged] if finite else [NON_FINITE]
            texts = [_text(answer) for answer in given]
            found.append(ItemOutcome(self._spec.name, number, passed, _one_or_list(texts), _one_or_list(said)))
        return found


def _sampled(request: Instance, spec: TaskSpec) -> Instance:
    """The request with the spec's temperature; greedy where that is 0."""
    context, settings = request.args
    sampling = {"do_sample": spec.temperature > 0, "temperature": spec.temperature}
    return replace(request, arguments=(context, {**settings, **sampling}))


def _sample(given: Sequence[Response]) -> tuple[str, bool]:
    """What the model said, the index of the likeliest choice or its text, and whether all logits were numbers."""
    if isinstance(given[0], Completion):
        return given[0].text, given[0].finite
    scores = [answer[0] for answer in given if not isinstance(answer, Completion)]
    finite = all(map(math.isfinite, scores))
    return str(scores.index(max(scores))) if finite else "", finite


def _text(answer: Response) -> str:
    return answer.text if isinstance(answer, Completion) else ""


def _one_or_list(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else json.dumps(values, ensure_ascii=False)


def _remembered(method: Callable[..., Any]) -> Callable[..., Any]:
    """``method`` of a document, computed once a document: templates are slow, and documents don't change."""
    known: dict[int, Any] = {}

    def remembered(doc: Any, *arguments: Any) -> Any:
        if arguments:
            return method(doc, *arguments)
        if id(doc) not in known:
            known[id(doc)] = (doc, method(doc))  # the document is kept, so that its id stays its own
        return known[id(doc)][1]

    return remembered
