"""Running a study: every stage once, every artefact saved before the next, every finished cell kept.

1. The run directory is claimed for the study, the weights and the corpora; a run of anything else is refused.
2. The model is scored on every domain that is not held out.
3. Each spot is selected or learned at its largest k, and its controls are drawn; smaller doses are prefixes.
4. Each cell edits the weights in place, is evaluated, and is saved; weights come back bit for bit.
5. Where the study asks for more (doses between those of the grid, a spot a language), further cells follow.
6. The views that the study asks for (neurons, alignment, logit lens) are taken, and set beside its spots.
7. The cells are merged, in the plan's order, into one table.

A run stopped at any moment and started again skips what is saved.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from codingspot.evaluation.tasks import EvaluationTask, load_tasks
from codingspot.files import digest
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel, ParameterLayout, load_model, scope_sizes
from codingspot.spot import Spot
from codingspot.study.analyses import analyse_sequential, analyse_spots
from codingspot.study.cells import Cell, EvaluatedDomain, ModelSummary, Plan, Task, TaskRole
from codingspot.study.config import TESTBED, Study
from codingspot.study.corpora import study_corpora
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import CellRunner
from codingspot.study.language_matrix import language_matrix
from codingspot.study.planning import plan_cells, with_own_sizes
from codingspot.study.progress import Progress, Silent
from codingspot.study.refinement import refine
from codingspot.study.scoring import study_scores
from codingspot.study.spots import study_spots
from codingspot.study.views import study_views
from codingspot.testbed.shipped import shipped_model

# Work of the stages before the cells, in units of one evaluated cell, for the estimate of the time left.
_SCORING_UNITS = 10.0
_SELECTION_UNITS = 1.0


def run_study(
    study: Study, out: Path, *, progress: Progress | None = None, unsafe_no_sandbox: bool = False
) -> RunDirectory:
    """Run ``study`` into the directory ``out``, or finish a run begun there, and return the directory.

    Raises:
        FingerprintError: ``out`` holds a run of another study, other weights or another corpus.
        CodingSpotError: whatever the stages refuse; what was saved before stays.
    """
    progress = progress or Silent()
    directory = RunDirectory.claim(out, study)
    progress.stage("loading the model")
    loaded = _load(study)
    scoring, evaluation = study_corpora(study.corpus)
    progress.stage("building the tasks' requests")
    entries = study.evaluation.tasks()
    tasks = load_tasks([spec for _, spec in entries], tokenizer=loaded.tokenizer)
    directory.claim_inputs(
        weights=loaded.fingerprint,
        corpus=scoring.fingerprint,
        evaluation_corpus=evaluation.fingerprint,
        evaluation_items=digest(*(task.fingerprint for task in tasks)),
    )
    sizes = scope_sizes(ParameterLayout.of(loaded.model))
    cells = plan_cells(study, sizes["all"])
    todo = [cell for cell in cells if not directory.is_done(cell)]
    progress.start(_SCORING_UNITS + _SELECTION_UNITS + len(todo))
    store: ScoreStore | None = None
    spots: dict[str, Spot] = {}
    if study.spots or study.language_matrix is not None:
        progress.stage("scoring parameters")
        store = study_scores(study, loaded, scoring, directory, lambda share: progress.advance(share * _SCORING_UNITS))
    if store is not None and study.spots:
        progress.stage("selecting spots")
        spots = study_spots(study, store, loaded, scoring, directory)
        cells = with_own_sizes(cells, spots)
        todo = [cell for cell in cells if not directory.is_done(cell)]
        progress.advance(_SELECTION_UNITS)
        progress.stage("analysing spots")
        analyse_spots(study, store, spots, cells, directory)
    plan = Plan(
        study=study.name,
        model=ModelSummary(
            id=loaded.id,
            revision=loaded.revision,
            fingerprint=loaded.fingerprint,
            parameters=sizes["all"],
            scopes=sizes,
        ),
        tasks=tuple(_described(role, task) for (role, _), task in zip(entries, tasks, strict=True)),
        domains=tuple(
            EvaluatedDomain(name=d.name, kind=d.kind, held_out=d.held_out, documents=len(d.texts))
            for d in evaluation.domains
        ),
        cells=cells,
    )
    directory.save_plan(plan)
    with CellRunner(study, loaded, tasks, evaluation, spots, directory, unsafe=unsafe_no_sandbox) as runner:

        def run(cell: Cell) -> None:
            progress.stage(cell.name)
            runner.run(cell)

        for cell in todo:
            run(cell)
            progress.advance(1.0)
        plan = plan.model_copy(update={"cells": (*cells, *refine(study, plan, directory, run))})
    directory.save_plan(plan)
    if study.language_matrix is not None and store is not None:
        language_matrix(
            study,
            study.language_matrix,
            loaded,
            store,
            evaluation,
            directory,
            unsafe=unsafe_no_sandbox,
            stage=progress.stage,
        )
    study_views(
        study.views,
        loaded,
        scoring,
        evaluation,
        {section.name: spots[section.name] for section in study.spots},
        directory.path,
        unsafe_no_sandbox=unsafe_no_sandbox,
        stage=progress.stage,
    )
    analyse_sequential(study, plan, directory, directory.merge(plan.cells).outcomes)
    return directory


def _load(study: Study) -> LoadedModel:
    section = study.model
    loaded = load_model(
        shipped_model() if section.id == TESTBED else section.id,
        revision=section.revision,
        dtype=section.dtype,
        device=section.device,
        device_map=section.device_map,
        attention=section.attention,
        trust_remote_code=section.trust_remote_code,
    )
    # The shipped model's folder differs between machines; its name doesn't.
    return replace(loaded, id=section.id)


def _described(role: TaskRole, task: EvaluationTask) -> Task:
    return Task(
        name=task.name,
        role=role,
        chance=task.chance,
        items=task.items,
        available=task.available,
        protocol=task.protocol,
    )
