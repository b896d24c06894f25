"""One model, many edits: every task and every domain's loss, for the weights as they are now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from codingspot.corpus import Domain
from codingspot.errors import EvaluationError, NonFiniteError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.evaluation.programs import Judge
from codingspot.evaluation.results import NON_FINITE, DocumentLoss, ItemOutcome, Results
from codingspot.evaluation.tasks import EvaluationTask, Response
from codingspot.models.finite import require_finite as require_finite_weights
from codingspot.sandbox import Limits, Sandbox


class Evaluator:
    """Evaluates a model again and again while its weights are edited in place.

    Requests and documents are tokenised and laid out in batches once; each evaluation only computes.

    Args:
        adapter: the model and its tokenizer.
        tasks: from ``tasks.load_tasks``.
        domains: whose documents' losses are taken; may be empty.
        sandbox: where generated programs run; needed by code tasks only.
        seed: of sampled programs, and of the windows of documents that are read where not all are.
        perplexity_tokens, perplexity_window: most tokens of a domain, and of the windows its documents are cut into
            (:class:`codingspot.evaluation.perplexity.HeldOutLoss`).

    Raises:
        SandboxError: the programs of a task need a package that isn't installed.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        tasks: Sequence[EvaluationTask],
        domains: Sequence[Domain] = (),
        *,
        sandbox: Sandbox | None = None,
        seed: int = 0,
        perplexity_tokens: int | None = None,
        perplexity_window: int = WINDOW,
    ) -> None:
        self.tasks = tuple(tasks)
        self._adapter = adapter
        adapter.try_batches()
        self._losses = HeldOutLoss(adapter, domains, window=perplexity_window, tokens=perplexity_tokens, seed=seed)
        self._judge = None if sandbox is None else Judge(sandbox)
        if self._judge is not None:
            self._judge.prepare({name for task in self.tasks for name in task.packages})
        self._seed = seed

    def evaluate(self, cell: str, *, require_finite: bool = False) -> Results:
        """Results of the model's present weights.

        Args:
            cell: name given to the rows.
            require_finite: refuse a model whose weights or output are not numbers, as is right for the original one.
                An edited model may break: its items then have outcome 0 and verdict "non-finite", its losses are
                infinite.

        Raises:
            NonFiniteError: only where ``require_finite``; names the weight, before anything is evaluated, or the task
                or domain.
            EvaluationError: a task can't be evaluated.
            SandboxError: a generated program can't be run.
        """
        if require_finite:
            require_finite_weights(self._adapter.model)
        losses = self.losses()
        outcomes = self.outcomes(self.tasks, require_finite=require_finite)
        if require_finite:
            _check_losses(losses)
        return Results.of_cell(cell, outcomes, losses)

    def losses(self, *, require_finite: bool = False) -> list[DocumentLoss]:
        """Loss of every document under the present weights.

        Raises:
            NonFiniteError: only where ``require_finite``; names the weight, before anything is read, or the domain.
        """
        if require_finite:
            require_finite_weights(self._adapter.model)
        losses = self._losses.evaluate()
        if require_finite:
            _check_losses(losses)
        return losses

    def outcomes(self, tasks: Sequence[EvaluationTask], *, require_finite: bool = False) -> list[ItemOutcome]:
        """Outcome of every item of some tasks under the present weights.

        Raises:
            NonFiniteError: only where ``require_finite``; names the item.
            EvaluationError: a task can't be evaluated.
            SandboxError: a generated program can't be run.
        """
        requests = [request for task in tasks for request in task.requests]
        scored = [i for i, request in enumerate(requests) if request.request_type == "loglikelihood"]
        generated = [i for i, request in enumerate(requests) if request.request_type == "generate_until"]
        if len(scored) + len(generated) < len(requests):
            kinds = {request.request_type for request in requests} - {"loglikelihood", "generate_until"}
            raise EvaluationError(f"tasks with {', '.join(sorted(kinds))} requests have no outcome for single items")
        responses: dict[int, Response] = {}
        responses.update(zip(scored, self._adapter.loglikelihood([requests[i] for i in scored]), strict=True))
        completions = self._adapter.generate([requests[i] for i in generated], seed=self._seed)
        responses.update(zip(generated, completions, strict=True))
        found: list[ItemOutcome] = []
        start = 0
        for task in tasks:
            end = start + len(task.requests)
            found += task.outcomes([responses[i] for i in range(start, end)], self._judge)
            start = end
        for outcome in found if require_finite else ():
            if outcome.verdict == NON_FINITE:
                raise NonFiniteError(
                    f"the model's output is not a number on item {outcome.item} of {outcome.task}; "
                    "check its weights, or load it in float32"
                )
        return found


@contextmanager
def sandbox_for(
    tasks: Sequence[EvaluationTask],
    limits: Limits | None = None,
    *,
    workers: int | None = None,
    unsafe: bool = False,
) -> Iterator[Sandbox | None]:
    """Where the programs of these tasks run, open inside the block; None where they generate no programs.

    Raises:
        SandboxError: they do, and no sandbox can be started on this machine.
    """
    if any(task.languages for task in tasks):
        with Sandbox(limits, workers, unsafe) as sandbox:
            yield sandbox
    else:
        yield None


def require_answerable(adapter: ModelAdapter, tasks: Sequence[EvaluationTask], sandbox: Sandbox | None) -> None:
    """Make sure, before anything is computed, that every task can be evaluated: its requests, outcomes and programs.

    Raises:
        EvaluationError: one can't; the message names the task and what to set.
        SandboxError: its programs can't be run on this machine.
    """
    for task in tasks:
        task.require_outcomes()
        try:
            adapter.require_answerable(task.requests)
        except EvaluationError as error:
            raise EvaluationError(f"task {task.name}: {str(error).removeprefix('a task ')}") from None
        if sandbox is not None:
            sandbox.require(task.languages)


def _check_losses(losses: Sequence[DocumentLoss]) -> None:
    for loss in losses:
        if loss.loss == float("inf"):
            raise NonFiniteError(
                f"the model's loss is not finite on document {loss.document} of {loss.domain}; "
                "check its weights, or load it in float32"
            )
