"""One task of lm-evaluation-harness: what is asked of its items, and the outcome of each from the model's answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from copy import copy
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from codingspot.errors import CodingSpotError, EvaluationError
from codingspot.evaluation.code_tasks import fenced
from codingspot.evaluation.generation import Completion
from codingspot.evaluation.harness import quiet
from codingspot.evaluation.instructions import demonstration, instruction
from codingspot.evaluation.items import Item, item_of
from codingspot.evaluation.programs import Judge, make_program, packages_of
from codingspot.evaluation.results import NON_FINITE, ItemOutcome
from codingspot.sandbox import Verdict

Response = tuple[float, bool] | Completion

_STRATA = ("subject", "category", "split_type")  # columns of MMLU, many others, and HellaSwag
_TOKEN_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "max_length")
_FEWSHOT_SEED = 1234  # the harness's own
_CERTAIN = 1e4  # nats by which one choice is ahead when chance levels are computed
_SMALLEST = -700.0  # nats; below -708, exp of a float64 loses digits and then all of them


class TaskPart:
    """A single task, alone or as a member of a group whose items are pooled.

    Args:
        task: the harness's.
        name: under which outcomes are reported.
        metric, filter_name: which of the task's metrics and filters make the outcome; None takes the first.
        max_new_tokens: most tokens of a generated answer; None leaves the task's own.
        samples, temperature: of the programs of a code task.
        chat: whether questions are turns of a conversation. Those of a code task whose prompt opens no block for the
            answer are then instructions (:mod:`~codingspot.evaluation.instructions`), answered by a block.

    Attributes:
        available: number of items there are.
        few_shot: number of solved examples before each question.
        items, requests: of the items that ``build`` was given.
    """

    def __init__(
        self,
        task: ConfigurableTask,
        *,
        name: str,
        metric: str | None = None,
        filter_name: str | None = None,
        max_new_tokens: int | None = None,
        samples: int = 1,
        temperature: float = 0.0,
        chat: bool = False,
    ) -> None:
        self._task, self._name, self._metric, self._filter_name = task, name, metric, filter_name
        self._samples, self._temperature, self._chat = samples, temperature, chat
        self._language: str | None = (task.config.metadata or {}).get("language")
        self._in_block = fenced({"gen_prefix": task.config.gen_prefix})
        self._in_reply = chat and self._language is not None and not self._in_block
        self.few_shot = int(task.config.num_fewshot or 0)
        with quiet():
            self._docs = task.eval_docs
        self.available = len(self._docs)
        if max_new_tokens is not None and task.config.generation_kwargs is not None:
            own = task.config.generation_kwargs
            kept = {key: value for key, value in own.items() if key not in _TOKEN_LIMITS}
            task.config.generation_kwargs = {**kept, "max_gen_toks": max_new_tokens}
        if self._in_reply:
            _instruct(task, str(self._language))
        for method in ("doc_to_text", "doc_to_target", "doc_to_choice"):
            setattr(task, method, _remembered(getattr(task, method)))
        self._groups: list[list[Instance]] = []
        self._numbers: list[int] = []
        self.requests: list[Instance] = []

    @property
    def items(self) -> int:
        """Number of items that are evaluated."""
        return len(self._groups)

    @property
    def measure(self) -> str:
        """Metric and, where answers are filtered, filter: ``acc``, ``exact_match (strict-match)``, ``pass@1``."""
        if self._language is not None:
            how = "greedy" if self._temperature == 0 else f"n = {self._samples}, temperature {self._temperature:g}"
            if self._chat:
                how = f"chat template, {how}" + (f", n = {self._samples}" if self._temperature == 0 else "")
            return f"pass@1 ({how})"
        metric = self._metric or str(self._task.config.metric_list[0]["metric"])
        name = self._filter().name
        return metric if name == "none" else f"{metric} ({name})"

    @property
    def strata_column(self) -> str | None:
        """Name of the column that tells items apart: subject, category or kind of split."""
        return next((name for name in _STRATA if name in self._docs.features), None)

    def strata(self) -> list[Hashable]:
        """Value of ``strata_column`` of each item; None without one."""
        column = self.strata_column
        return [None] * self.available if column is None else list(self._docs[column])

    def build(self, first: int, chosen: Sequence[int], chat_template: Callable[..., str] | None) -> None:
        """Make the requests of some items.

        Args:
            first: number of the first item of all, in the results.
            chosen: indices of the items, in increasing order.
            chat_template: makes a text of a conversation; None writes plain text.

        Raises:
            EvaluationError: there are fewer solved examples than are asked for, or the rows don't make requests.
        """
        if not chosen:
            return
        task = self._task
        if self.few_shot and self.few_shot > (examples := len(task.sampler.fewshot_docs())):
            raise EvaluationError(
                f"task {self._name}: few_shot is {self.few_shot:,}, and it has {examples:,} solved examples; lower it"
            )
        task.set_fewshot_seed(_FEWSHOT_SEED)
        try:
            with quiet():
                task.build_all_requests(
                    samples=set(chosen),
                    apply_chat_template=chat_template is not None,
                    fewshot_as_multiturn=chat_template is not None,
                    chat_template=chat_template,
                )
        except CodingSpotError:
            raise
        except Exception as error:  # whatever a task's own code makes of its rows
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise EvaluationError(
                f"task {self._name}: its requests can't be made ({reason}); check its data, or lower few_shot"
            ) from error
        instances = sorted(task.instances, key=lambda request: (request.doc_id, request.idx))
        groups = [list(group) for _, group in groupby(instances, key=lambda request: request.doc_id)]
        if self._language is not None:
            groups = [[self._sampled(request)] * self._samples for (request,) in groups]
        self._groups = groups
        self._numbers = [first + index for index in chosen]
        self.requests = [request for group in groups for request in group]

    @property
    def packages(self) -> frozenset[str]:
        """Packages outside the standard library that the programs of the evaluated items need."""
        if self._language is None:
            return frozenset()
        return frozenset(name for group in self._groups for name in packages_of(group[0].doc, self._language))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Number of each item that is evaluated, as in the results."""
        return tuple(self._numbers)

    def asked(self) -> list[Item]:
        """What the evaluated items ask, for people."""
        task, several = self._task, self._task.OUTPUT_TYPE == "multiple_choice"
        docs = [(number, group[0].doc) for number, group in zip(self._numbers, self._groups, strict=True)]
        return [
            item_of(number, task.doc_to_text(doc), task.doc_to_choice(doc) if several else (), task.doc_to_target(doc))
            for number, doc in docs
        ]

    def subset(self, numbers: Collection[int]) -> TaskPart:
        """The same task with no more than the items of these numbers."""
        part = copy(self)
        kept = [index for index, number in enumerate(self._numbers) if number in numbers]
        part._groups = [self._groups[index] for index in kept]
        part._numbers = [self._numbers[index] for index in kept]
        part.requests = [request for group in part._groups for request in group]
        return part

    def outcomes(self, responses: Sequence[Response], judge: Judge | None) -> list[ItemOutcome]:
        """Outcome of each item, from the answers to ``requests``.

        Raises:
            EvaluationError: the task has no such metric for single items, or needs a judge.
        """
        answers = iter(responses)
        answered = [[next(answers) for _ in group] for group in self._groups]
        if self._language is not None:
            return self._judged(answered, judge)
        return [
            self._scored(number, group, given)
            for number, group, given in zip(self._numbers, self._groups, answered, strict=True)
        ]

    @property
    def language(self) -> str | None:
        """Of the programs that the answers make; None where they make none."""
        return self._language

    def require_outcome(self) -> None:
        """Make sure that an answer has an outcome, by trying the first item.

        Raises:
            EvaluationError: the task has no such filter, or no such metric for single items.
        """
        if self._language is not None or not self._groups:
            return
        group = self._groups[0]
        generates = group[0].request_type == "generate_until"
        self._filter()
        try:
            self._outcome(group, ["" if generates else (-float(i), False) for i in range(len(group))])
        except EvaluationError:
            raise
        except Exception:  # a task's own code may not foresee an empty answer, which says nothing of the metric
            return

    def chance_levels(self) -> list[float]:
        """Each item's mean outcome when each of its choices in turn is certain to be taken; 0 without choices."""
        if self._task.OUTPUT_TYPE != "multiple_choice":
            return [0.0] * self.items
        levels = []
        for group in self._groups:
            choices = range(len(self._task.doc_to_choice(group[0].doc)))
            certain = [[(0.0 if i == taken else -_CERTAIN, False) for i in range(len(group))] for taken in choices]
            levels.append(math.fsum(self._outcome(group, given) for given in certain) / len(certain))
        return levels

    def _scored(self, number: int, group: Sequence[Instance], given: Sequence[Response]) -> ItemOutcome:
        sample, finite = _sample(given)
        if not finite:
            return ItemOutcome(self._name, number, 0.0, sample, NON_FINITE)
        if isinstance(given[0], Completion):
            plain: list[Any] = [answer.text for answer in given if isinstance(answer, Completion)]
        else:
            plain = self._in_range(group, [answer for answer in given if not isinstance(answer, Completion)])
        return ItemOutcome(self._name, number, self._outcome(group, plain), sample)

    def _in_range(self, group: Sequence[Instance], scores: list[tuple[float, bool]]) -> list[tuple[float, bool]]:
        """Log-likelihoods the largest of which is 0 where all are too low for ``exp`` and the metric stays the same.

        Normalised probabilities and the likeliest choice are the same when all log-likelihoods grow by a constant. A
        metric that divides each by its length is not, which shows when a choice that is ahead by a hair is taken.
        """

        def ahead(taken: int, level: float) -> float:
            return self._outcome(group, [(level - 1e-3 * (i != taken), False) for i in range(len(group))])

        highest = max(score for score, _ in scores)
        if highest > _SMALLEST or any(abs(ahead(i, 0.0) - ahead(i, -300.0)) > 1e-9 for i in range(len(group))):
            return scores
        return [(score - highest, greedy) for score, greedy in scores]

    def _outcome(self, group: Sequence[Instance], answers: Sequence[Any]) -> float:
        """The metric of one item, after the task's filter."""
        for request, answer in zip(group, answers, strict=True):
            request.resps = [answer]
        ensemble = self._filter()
        ensemble.apply(list(group))
        filtered = [request.filtered_resps[ensemble.name] for request in group]
        metrics = self._task.process_results(group[0].doc, filtered)
        name = self._metric or next(iter(metrics))
        value = metrics.get(name)
        if not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise EvaluationError(
                f"task {self._name} has no outcome between 0 and 1 named {name!r} for single items; "
                f"choose another metric of {', '.join(metrics)}"
            )
        return float(value)

    def _filter(self) -> Any:
        ensembles = {ensemble.name: ensemble for ensemble in self._task._filters}
        name = self._filter_name or next(iter(ensembles))
        if name not in ensembles:
            raise EvaluationError(f"task {self._name} has no filter {name!r}; choose one of {', '.join(ensembles)}")
        return ensembles[name]

    def _judged(self, answered: Sequence[Sequence[Response]], judge: Judge | None) -> list[ItemOutcome]:
        if judge is None or self._language is None:
            raise EvaluationError(f"task {self._name} runs generated programs; give the evaluation a sandbox")
        form = {"in_block": self._in_block, "in_reply": self._in_reply}
        programs = [
            make_program(group[0].doc, _text(answer), self._language, **form)
            for group, given in zip(self._groups, answered, strict=True)
            for answer in given
        ]
        verdicts = iter(judge.verdicts(programs))
        found = []
        for number, given in zip(self._numbers, answered, strict=True):
            judged = [next(verdicts) for _ in given]
            finite = all(not isinstance(answer, Completion) or answer.finite for answer in given)
            passed = sum(verdict is Verdict.PASSED for verdict in judged) / len(judged) if finite else 0.0
            verdict, *more = [str(verdict) if finite else NON_FINITE for verdict in judged]
            sample, *further = map(_text, given)
            found.append(ItemOutcome(self._name, number, passed, sample, verdict, tuple(further), tuple(more)))
        return found

    def _sampled(self, request: Instance) -> Instance:
        """The request with this task's temperature; greedy where that is 0."""
        context, settings = request.args
        sampling = {"do_sample": self._temperature > 0, "temperature": self._temperature}
        return replace(request, arguments=(context, {**settings, **sampling}))


def _instruct(task: ConfigurableTask, language: str) -> None:
    """Make a code task ask for a fenced block, which is where its answers end."""
    task.doc_to_text = lambda item, *_: instruction(item, language)
    task.doc_to_target = lambda item, *_: demonstration(item, language)
    task.config.generation_kwargs = {**task.config.generation_kwargs, "until": [], "one_block": True}


def _sample(given: Sequence[Response]) -> tuple[str, bool]:
    """What the model said, the index of the likeliest choice or its text, and whether all logits were numbers."""
    if isinstance(given[0], Completion):
        return given[0].text, given[0].finite
    scores = [answer[0] for answer in given if not isinstance(answer, Completion)]
    finite = all(map(math.isfinite, scores))
    return str(scores.index(max(scores))) if finite else "", finite


def _text(answer: Response) -> str:
    return answer.text if isinstance(answer, Completion) else ""


def _remembered(method: Callable[..., Any]) -> Callable[..., Any]:
    """``method`` of a document, computed once a document: templates are slow, and documents don't change."""
    known: dict[tuple[int, ...], Any] = {}

    def remembered(*given: Any) -> Any:
        key = tuple(map(id, given))
        if key not in known:
            known[key] = (given, method(*given))  # what was given is kept, so that its id stays its own
        return known[key][1]

    return remembered
