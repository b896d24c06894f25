"""Evaluating a study's cells: the weights edited in place, each cell evaluated once and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal

import pandas as pd

from codingspot.ablation import WeightEditor
from codingspot.corpus import Corpus
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator, sandbox_for
from codingspot.evaluation.metrics import KEPT, LOST, ONSET_RATE, task_rates
from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.evaluation.stopping import SequentialEvaluator
from codingspot.evaluation.tasks import EvaluationTask
from codingspot.models import LoadedModel
from codingspot.sandbox import Limits
from codingspot.spot import Spot
from codingspot.study.asking import asked_rows, few, what_is_asked
from codingspot.study.cells import ORIGINAL, Asked, Cell
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory

Step = Literal["measure", "run"]
"""What of a cell is evaluated: its losses alone, or all of it."""


class CellRunner:
    """Evaluates cells that aren't saved yet. A context: at its end the weights are what they were.

    Args:
        study: says how cells are evaluated.
        loaded: the model.
        tasks: what they are evaluated on.
        corpus: the documents whose loss is taken.
        spots: every spot and control by name.
        directory: where cells are saved.
        unsafe: run programs without a sandbox.
        in_study: False for cells that aren't of the study's own spots: all items, and edits without parameters.
    """

    def __init__(
        self,
        study: Study,
        loaded: LoadedModel,
        tasks: Sequence[EvaluationTask],
        corpus: Corpus,
        spots: Mapping[str, Spot],
        directory: RunDirectory,
        *,
        unsafe: bool = False,
        in_study: bool = True,
    ) -> None:
        self._in_study = in_study
        self._study, self._loaded, self._tasks, self._corpus = study, loaded, tasks, corpus
        self._spots, self._directory, self._unsafe = spots, directory, unsafe
        self._open = ExitStack()
        self._editor = self._open.enter_context(WeightEditor(loaded))
        self._evaluator: Evaluator | None = None
        self._sequential: SequentialEvaluator | None = None

    def __enter__(self) -> CellRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def each(self, step: Step, cells: Sequence[Cell], begun: Callable[[Cell], None]) -> Iterator[Cell]:
        """Take a step of each cell, and give every cell when it is taken; ``begun`` hears of it before.

        Raises:
            CodingSpotError: whatever an edit or the evaluation refuses.
        """
        for cell in cells:
            begun(cell)
            getattr(self, step)(cell)
            yield cell

    def measure(self, cell: Cell) -> pd.DataFrame:
        """The cell's losses of documents, taken and saved unless they are saved already.

        Raises:
            CodingSpotError: whatever an edit or the evaluation refuses.
        """
        losses = self._directory.losses(cell)
        if losses is None:
            evaluator = self._whole()  # before any edit: how texts share a batch is tried on the original weights
            self._edit(cell)
            losses = Results.of_cell(cell.name, (), evaluator.losses(require_finite=cell.spot is None)).losses
            self._directory.save_losses(cell, losses)
        return losses

    def run(self, cell: Cell) -> None:
        """Evaluate and save the cell, unless it is saved already: its losses, then the tasks it is asked.

        Raises:
            CodingSpotError: whatever an edit or the evaluation refuses.
        """
        if self._directory.is_done(cell):
            return
        losses = self.measure(cell)
        outcomes = Results.of_cell(cell.name, self._outcomes(cell, losses)).outcomes
        self._directory.save_cell(cell, Results(outcomes, losses))

    def _outcomes(self, cell: Cell, losses: pd.DataFrame) -> list[ItemOutcome]:
        section, original = self._study.evaluation, cell.spot is None
        asked = Asked.ALL
        if self._in_study and not original:
            before = self._directory.cell_results(ORIGINAL)
            asked = what_is_asked(section, cell, losses, before.losses, self._loaded.vocabulary)
        if asked.asks_nothing or not self._tasks:
            return []
        evaluator = self._whole()
        self._edit(cell)
        if asked is Asked.DEAD:
            return evaluator.outcomes(few(self._tasks, section.dead_items or 0, self._study.scoring.seed))
        if original or not self._in_study or not section.sequential:
            return evaluator.outcomes(self._tasks, require_finite=original)
        return self._stopping(before).outcomes(thresholds(cell, before, self._names("code")))

    def _edit(self, cell: Cell) -> None:
        if cell.spot is None:
            self._editor.restore()
            return
        spot = self._spots[cell.source].prefix(cell.parameters)
        self._editor.apply(spot, cell.edit or "zero", **self._edit_parameters(cell))

    def _edit_parameters(self, cell: Cell) -> dict[str, Any]:
        if not self._in_study:
            return {}
        section = next(section for section in self._study.spots if section.name == cell.spot)
        if cell.purpose == "sufficiency" and section.sufficiency is not None:
            return {"base": section.sufficiency.base, "largest_percent": section.sufficiency.largest_percent}
        return dict(section.edit_parameters)

    def _whole(self) -> Evaluator:
        if self._evaluator is None:
            section = self._study.evaluation
            adapter = ModelAdapter(self._loaded.model, self._loaded.tokenizer, batch_tokens=section.batch_tokens)
            limits = Limits(seconds=section.sandbox_seconds)
            sandbox = self._open.enter_context(sandbox_for(self._tasks, limits, unsafe=self._unsafe))
            seed = self._study.scoring.seed
            self._evaluator = Evaluator(
                adapter,
                self._tasks,
                self._corpus.domains,
                sandbox=sandbox,
                seed=seed,
                perplexity_tokens=section.perplexity_tokens,
                perplexity_window=section.perplexity_window,
            )
        return self._evaluator

    def _stopping(self, original: Results) -> SequentialEvaluator:
        if self._sequential is None:
            self._sequential = SequentialEvaluator(
                self._whole(),
                original.outcomes,
                self._study.evaluation.questions(),
                {task.name: task.chance for task in self._tasks},
                alpha=self._study.evaluation.sequential_alpha,
            )
        return self._sequential

    def _names(self, role: str) -> list[str]:
        return [spec.name for found, spec in self._study.evaluation.tasks() if found == role]


class AskedCells:
    """Keeps in the run directory what finished cells that aren't asked every item are asked.

    Args:
        study: says how cells are evaluated.
        directory: where they are saved.
        vocabulary: number of tokens.
    """

    def __init__(self, study: Study, directory: RunDirectory, vocabulary: int) -> None:
        self._section, self._directory, self._vocabulary = study.evaluation, directory, vocabulary
        self._original = pd.DataFrame()
        self._asked: dict[str, Asked] = {}  # of finished cells

    def save(self, cells: Sequence[Cell]) -> None:
        """Write it down of those of ``cells`` that are finished, in their order; the original, which is first, is."""
        for cell in cells:
            if cell.name not in self._asked and self._directory.is_done(cell):
                losses = self._directory.cell_results(cell.name).losses
                if cell.name == ORIGINAL:
                    self._original = losses
                self._asked[cell.name] = what_is_asked(self._section, cell, losses, self._original, self._vocabulary)
        known = {cell.name: self._asked[cell.name] for cell in cells if cell.name in self._asked}
        self._directory.save_asked(asked_rows(self._section, known))


def thresholds(cell: Cell, original: Results, code: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The retentions at which the verdict on a cell changes; of a control only whether it loses code and keeps general.

    The onset, pass@1 below 1%, is a code retention of 1% over the original model's rate.
    """
    if cell.control is not None:
        return {"code": (LOST,), "general": (KEPT,)}
    rates = task_rates(original.outcomes)[ORIGINAL]
    rate = sum(rates[name] for name in code) / len(code) if code else 0.0
    onset = (ONSET_RATE / rate,) if rate > ONSET_RATE else ()
    return {"code": (*onset, LOST, KEPT), "general": (KEPT,)}
