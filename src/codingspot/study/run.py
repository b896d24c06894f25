"""Running a study: every stage once, every artefact saved before the next, every finished cell kept.

1. The run directory is claimed for the study, the weights, the corpora and the tasks; another run's is refused, and
   so is whatever can't be done with these (:mod:`codingspot.study.checking`).
2. The model is scored on every domain that is not held out.
3. Each spot is selected or learned at its largest k, and its controls are drawn; smaller doses are prefixes.
4. Each cell edits the weights in place, is evaluated, and is saved; weights come back bit for bit. Where the study asks
   for more doses than those of its grid, further cells follow, chosen by the results of those before.
5. The cells are merged, in the plan's order, into one table.
6. The views that the study asks for (neurons, alignment, logit lens) are taken, and set beside its spots.

After 2, 3 and 5 come the analyses of scores, of spots and of cells (:mod:`codingspot.analysis_registry`); those that
evaluate a spot a language, say, do so in cells of their own.

A run stopped at any moment and started again skips what is saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from codingspot.analysis_registry import Given
from codingspot.directories import held
from codingspot.evaluation.items import items_table
from codingspot.importance import ScoreStore
from codingspot.spot import Spot
from codingspot.study.analyses import make_analyses
from codingspot.study.asking import notes
from codingspot.study.cells import Cell, Plan
from codingspot.study.checking import check_study
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import AskedCells, CellRunner
from codingspot.study.further_cells import further_cells
from codingspot.study.inputs import StudyInputs, input_paths, load_inputs, require_sources
from codingspot.study.keeping import wants_scores
from codingspot.study.keys import StudyKeys
from codingspot.study.planning import plan_cells, with_own_sizes
from codingspot.study.progress import CountsCells, Progress, Silent
from codingspot.study.ray_cluster import Workers, connected
from codingspot.study.refinement import refine
from codingspot.study.reuse import reuse_scores
from codingspot.study.scoring import study_scores
from codingspot.study.spots import SpotFinder, study_spots
from codingspot.study.views import study_views
from codingspot.study.workers import WorkerPool

# Work of the stages before the cells, in units of one evaluated cell, for the estimate of the time left.
_SCORING_UNITS = 10.0
_SELECTION_UNITS = 1.0
_ANALYSIS_UNITS = 1.0


def run_study(
    study: Study,
    out: Path,
    *,
    progress: Progress | None = None,
    unsafe_no_sandbox: bool = False,
    workers: Workers | None = None,
) -> RunDirectory:
    """Run ``study`` into the directory ``out``, or finish a run begun there, and return the directory.

    Where there are ``workers``, they evaluate its cells (:mod:`codingspot.study.workers`); all else is done here.

    Raises:
        CorpusError: nothing says what the study reads.
        FingerprintError: ``out`` holds a run of another study, other weights or another corpus, is no run directory, or
            another process writes there (:func:`codingspot.directories.held`).
        CodingSpotError: whatever the stages refuse; what was saved before stays.
    """
    require_sources(study)
    with held(out, inputs=input_paths(study)), connected(workers):
        return _run(study, RunDirectory.claim(out, study), progress or Silent(), unsafe_no_sandbox, workers)


def _run(
    study: Study, directory: RunDirectory, progress: Progress, unsafe_no_sandbox: bool, workers: Workers | None
) -> RunDirectory:
    inputs = load_inputs(study, progress.stage)
    check_study(study, inputs, unsafe_no_sandbox=unsafe_no_sandbox)
    directory.claim_inputs(**inputs.fingerprints)
    directory.adopt(study)
    parameters = inputs.scopes["all"]
    said = notes(study.evaluation, parameters)
    study = study.model_copy(update={"evaluation": study.evaluation.for_model(parameters)})
    cells = plan_cells(study, parameters)
    keys = StudyKeys(study, {task.name: task.fingerprint for task in inputs.tasks})
    directory.settle({**keys.spots(), **keys.analyses(cells), **keys.cells(cells)})
    run = _Run(study, inputs, directory, keys, said, progress, unsafe_no_sandbox, workers)
    run.announce(cells)
    given = run.score(Given(study, inputs.loaded, inputs.scoring, inputs.evaluation))
    if given.scores is not None and study.spots:
        finder = SpotFinder(study, given.scores, inputs.loaded, inputs.scoring, progress.stage)
        spots = run.select(finder)
        given = replace(
            given,
            spots=spots,
            cells=with_own_sizes(cells, spots),
            find=partial(finder.spot, spots),
        )
        run.analyse(given)
    plan = run.evaluate(given.cells or cells, given.spots)
    run.conclude(given, plan)
    run.view(given.spots)
    return directory


@dataclass(frozen=True)
class _Run:
    """The steps of one run: each takes what earlier ones gave and saves what it makes."""

    study: Study
    inputs: StudyInputs
    directory: RunDirectory
    keys: StudyKeys
    notes: tuple[str, ...]
    progress: Progress
    unsafe: bool
    workers: Workers | None

    def announce(self, cells: Sequence[Cell]) -> None:
        """Tell how much work is left."""
        scoring = _SCORING_UNITS if wants_scores(self.study) else 0.0
        self.progress.start(scoring + _SELECTION_UNITS + _ANALYSIS_UNITS + len(self.directory.unfinished(cells)))

    def score(self, given: Given) -> Given:
        """The scores of every parameter for every domain, made or opened, with their analyses; as they are without."""
        study, inputs, directory = self.study, self.inputs, self.directory
        if not study.spots and study.language_matrix is None:
            return given
        if not wants_scores(study):
            return replace(given, scores=ScoreStore.unscored(inputs.loaded.model, inputs.scoring))
        reuse_scores(study, inputs.loaded, inputs.scoring.fingerprint, directory)
        self.progress.stage("scoring parameters")
        found = study_scores(
            study,
            inputs.loaded,
            inputs.scoring,
            directory,
            lambda share: self.progress.advance(share * _SCORING_UNITS),
        )
        given = replace(
            given,
            scores=found.store,
            draws=found.draws,
            by_reduction=found.by_reduction,
            snapshots=found.snapshots,
            training_losses=found.losses,
        )
        make_analyses("scores", given, directory)
        return given

    def select(self, finder: SpotFinder) -> Mapping[str, Spot]:
        """Every spot and control by name, found or read."""
        self.progress.stage("selecting spots")
        spots = study_spots(finder, self.directory)
        self.progress.advance(_SELECTION_UNITS)
        return spots

    def analyse(self, given: Given) -> None:
        """The analyses of scores and spots."""
        self.progress.stage("analysing spots")
        given = replace(given, advance=lambda share: self.progress.advance(share * _ANALYSIS_UNITS))
        make_analyses("spots", given, self.directory)

    def evaluate(self, cells: Sequence[Cell], spots: Mapping[str, Spot]) -> Plan:
        """Evaluate the cells, then those that their results ask for; the plan of them all."""
        plan = self.inputs.plan(self.study, cells).model_copy(update={"notes": self.notes})
        self.directory.save_plan(plan)
        if self.inputs.tasks:
            self.directory.save_items(items_table(self.inputs.tasks))
        asked = AskedCells(self.study, self.directory, self.inputs.loaded.vocabulary)
        further: list[Cell] = []
        begun = 0
        with self._evaluator(spots) as evaluator:

            def begin(cell: Cell) -> None:
                nonlocal begun
                begun += 1
                if isinstance(self.progress, CountsCells):
                    self.progress.cell(begun, max(len(cells), begun))
                self.progress.stage(cell.name)

            def run(wanted: Sequence[Cell], units: float) -> None:
                nonlocal begun
                unfinished = self.directory.unfinished(wanted)
                begun += len(wanted) - len(unfinished)
                for _ in evaluator.each("run", unfinished, begin):
                    asked.save([*cells, *further])
                    self.progress.advance(units)

            section = self.study.evaluation
            if section.tasks() and (section.tasks_at or section.tasks_where):  # where to look is known from losses
                for _ in evaluator.each(
                    "measure",
                    self.directory.unmeasured(cells),
                    lambda cell: self.progress.stage(f"perplexity of {cell.name}"),
                ):
                    pass
            run(cells, 1.0)

            def run_further(wanted: Sequence[Cell]) -> None:
                self.directory.settle(self.keys.cells(wanted))
                further.extend(wanted)
                run(wanted, 0.0)

            whole = (*cells, *with_own_sizes(refine(self.study, plan, self.directory, run_further), spots))
        asked.save(whole)
        plan = plan.model_copy(update={"cells": whole})
        self.directory.save_plan(plan)
        return plan

    def conclude(self, given: Given, plan: Plan) -> None:
        """One table of all cells, and the analyses of cells."""
        merged = self.directory.merge(plan.cells)
        by_few = merged.outcomes["cell"].isin(self.directory.asked())  # by a few items, and not sequentially
        settled = merged.outcomes[~by_few]
        evaluate = partial(
            further_cells,
            self.study,
            self.inputs.loaded,
            self.inputs.evaluation,
            self.directory,
            unsafe=self.unsafe,
            stage=self.progress.stage,
        )
        make_analyses(
            "cells",
            replace(given, plan=plan, outcomes=settled, losses=merged.losses, evaluate=evaluate),
            self.directory,
        )

    def view(self, spots: Mapping[str, Spot]) -> None:
        """The views that the study asks for, set beside its spots."""
        study_views(
            self.study.views,
            self.inputs.for_views(unsafe_no_sandbox=self.unsafe),
            {section.name: spots[section.name] for section in self.study.spots},
            self.directory.path,
            stage=self.progress.stage,
        )

    def _evaluator(self, spots: Mapping[str, Spot]) -> CellRunner | WorkerPool:
        if self.workers is not None:
            return WorkerPool(self.workers, self.study, self.directory, tuple(spots), unsafe=self.unsafe)
        return CellRunner(
            self.study,
            self.inputs.loaded,
            self.inputs.tasks,
            self.inputs.evaluation,
            spots,
            self.directory,
            unsafe=self.unsafe,
        )
