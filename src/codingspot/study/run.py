"""Running a study: every stage once, every artefact saved before the next, every finished cell kept.

1. The run directory is claimed for the study, the weights and the corpora; a run of anything else is refused.
2. The model is scored on every domain that is not held out.
3. Each spot is selected or learned at its largest k, and its controls are drawn; smaller doses are prefixes.
4. Each cell edits the weights in place, is evaluated, and is saved; weights come back bit for bit.
5. The cells are merged, in the plan's order, into one table.

A run stopped at any moment and started again skips what is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from codingspot.ablation import WeightEditor
from codingspot.corpus import Corpus
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.models import LoadedModel, ParameterLayout, load_model, scope_sizes
from codingspot.sandbox import Limits, Sandbox
from codingspot.spot import Spot
from codingspot.study.cells import ORIGINAL, Cell, EvaluatedDomain, ModelSummary, Plan, Task, TaskRole
from codingspot.study.config import TESTBED, Study
from codingspot.study.corpora import study_corpora
from codingspot.study.directory import RunDirectory
from codingspot.study.planning import control_name, plan_cells
from codingspot.study.progress import Progress, Silent
from codingspot.study.scoring import study_scores
from codingspot.study.spots import study_spots
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
    directory.claim_inputs(
        weights=loaded.fingerprint, corpus=scoring.fingerprint, evaluation_corpus=evaluation.fingerprint
    )
    sizes = scope_sizes(ParameterLayout.of(loaded.model))
    cells = plan_cells(study, sizes["all"])
    todo = [cell for cell in cells if not directory.is_done(cell)]
    progress.start(_SCORING_UNITS + _SELECTION_UNITS + len(todo))
    progress.stage("scoring parameters")
    store = study_scores(study, loaded, scoring, directory, lambda share: progress.advance(share * _SCORING_UNITS))
    progress.stage("selecting spots")
    spots = study_spots(study, store, loaded, scoring, directory)
    progress.advance(_SELECTION_UNITS)
    tasks = load_tasks(_specs(study))
    plan = Plan(
        study=study.name,
        model=ModelSummary(
            id=loaded.id,
            revision=loaded.revision,
            fingerprint=loaded.fingerprint,
            parameters=sizes["all"],
            scopes=sizes,
        ),
        tasks=tuple(
            Task(name=task.name, role=_role(study, task.name), chance=task.chance, items=task.items) for task in tasks
        ),
        domains=tuple(
            EvaluatedDomain(name=d.name, kind=d.kind, held_out=d.held_out, documents=len(d.texts))
            for d in evaluation.domains
        ),
        cells=cells,
    )
    directory.save_plan(plan)
    if todo:
        with _evaluator(study, loaded, tasks, evaluation, unsafe_no_sandbox) as evaluator:
            _evaluate(todo, spots, loaded, evaluator, directory, progress)
    directory.merge(cells)
    return directory


def _load(study: Study) -> LoadedModel:
    section = study.model
    loaded = load_model(
        shipped_model() if section.id == TESTBED else section.id,
        revision=section.revision,
        dtype=section.dtype,
        device=section.device,
        trust_remote_code=section.trust_remote_code,
    )
    # The shipped model's folder differs between machines; its name doesn't.
    return replace(loaded, id=section.id)


def _specs(study: Study) -> list[TaskSpec]:
    section = study.evaluation
    coded = [
        TaskSpec(name, limit=section.code_limit, samples=section.samples, temperature=section.temperature)
        for name in section.code
    ]
    return [*coded, *(TaskSpec(name, limit=section.limit) for name in (*section.general, *section.other))]


def _role(study: Study, task: str) -> TaskRole:
    if task in study.evaluation.code:
        return "code"
    return "general" if task in study.evaluation.general else "other"


@contextmanager
def _evaluator(
    study: Study, loaded: LoadedModel, tasks: list[EvaluationTask], corpus: Corpus, unsafe: bool
) -> Iterator[Evaluator]:
    section = study.evaluation
    adapter = ModelAdapter(loaded.model, loaded.tokenizer, batch_tokens=section.batch_tokens)
    with Sandbox(Limits(seconds=section.sandbox_seconds), unsafe=unsafe) as sandbox:
        yield Evaluator(adapter, tasks, corpus.domains, sandbox=sandbox, seed=study.scoring.seed)


def _evaluate(
    todo: list[Cell],
    spots: dict[str, Spot],
    loaded: LoadedModel,
    evaluator: Evaluator,
    directory: RunDirectory,
    progress: Progress,
) -> None:
    with WeightEditor(loaded) as editor:
        for cell in todo:
            progress.stage(cell.name)
            if cell.spot is None:
                editor.restore()
            else:
                editor.apply(spots[_source(cell)].top(cell.k_percent), cell.edit or "zero")
            directory.save_cell(cell, evaluator.evaluate(cell.name, require_finite=cell.name == ORIGINAL))
            progress.advance(1.0)


def _source(cell: Cell) -> str:
    """Name of the spot or drawn control that the cell edits."""
    spot = str(cell.spot)
    return spot if cell.control is None else control_name(spot, cell.control, cell.seed)
