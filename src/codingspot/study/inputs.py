"""What a study works on: its model, the two corpora, the tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from codingspot.corpus import Corpus, Source
from codingspot.evaluation.tasks import EvaluationTask, load_tasks
from codingspot.files import digest
from codingspot.models import LoadedModel, ParameterLayout, input_places, scope_sizes
from codingspot.outputs import Place
from codingspot.remote import local_path
from codingspot.settings import paths_read
from codingspot.study.cells import Cell, EvaluatedDomain, ModelSummary, Plan, Task, TaskRole
from codingspot.study.config import Study
from codingspot.study.corpora import require_source, study_corpora
from codingspot.study.parallel import open_view_corpus, require_parallel
from codingspot.views import ParallelSettings, ViewInputs


@dataclass(frozen=True)
class StudyInputs:
    """The inputs of one study, loaded.

    Attributes:
        loaded: the model and its tokenizer.
        scoring: the corpus on which parameters are scored.
        evaluation: the documents whose perplexity is evaluated.
        roles: of each task, its part in the study.
        tasks: what cells are evaluated on, in the study's order.
    """

    loaded: LoadedModel
    scoring: Corpus
    evaluation: Corpus
    roles: tuple[TaskRole, ...]
    tasks: tuple[EvaluationTask, ...]

    @cached_property
    def scopes(self) -> dict[str, int]:
        """Number of the model's parameters in each scope; in ``all`` of them, tied ones once."""
        return scope_sizes(ParameterLayout.of(self.loaded.model))

    @property
    def fingerprints(self) -> dict[str, str]:
        """What tells these inputs from others, by name."""
        return {
            "weights": self.loaded.fingerprint,
            "corpus": self.scoring.fingerprint,
            "evaluation_corpus": self.evaluation.fingerprint,
            "evaluation_items": digest(*(task.fingerprint for task in self.tasks)),
        }

    def for_views(self, *, unsafe_no_sandbox: bool) -> ViewInputs:
        """What views may look at, beside a study's spots."""
        return ViewInputs(
            self.loaded, open_view_corpus, self.scoring, self.evaluation, unsafe_no_sandbox=unsafe_no_sandbox
        )

    def plan(self, study: Study, cells: Sequence[Cell]) -> Plan:
        """The inputs and cells of ``study`` as a reader of its results needs them."""
        model = ModelSummary(
            id=self.loaded.id,
            revision=self.loaded.revision,
            fingerprint=self.loaded.fingerprint,
            weights=self.loaded.weights,
            parameters=self.scopes["all"],
            scopes=self.scopes,
        )
        domains = (
            EvaluatedDomain(name=domain.name, kind=domain.kind, held_out=domain.held_out, documents=len(domain.texts))
            for domain in self.evaluation.domains
        )
        tasks = (_described(role, task) for role, task in zip(self.roles, self.tasks, strict=True))
        return Plan(
            study=study.name,
            model=model,
            tasks=tuple(tasks),
            domains=tuple(domains),
            cells=tuple(cells),
            target=study.corpus.target or (),
        )


def load_inputs(study: Study, stage: Callable[[str], None]) -> StudyInputs:
    """Load the model, the corpora and the tasks of ``study``; ``stage`` is told what is being done.

    Raises:
        ModelError: the model can't be loaded.
        CorpusError: a source is unreadable, or a domain has too few texts.
        EvaluationError: a task can't be loaded.
    """
    stage("loading the model")
    loaded = study.model.load()
    scoring, evaluation = study_corpora(study.corpus)
    stage("building the tasks' requests")
    entries = study.evaluation.tasks()
    tasks = load_tasks([spec for _, spec in entries], tokenizer=loaded.tokenizer)
    return StudyInputs(loaded, scoring, evaluation, tuple(role for role, _ in entries), tuple(tasks))


def require_sources(study: Study) -> None:
    """Refuse, before any work, a study of which nothing says what it reads.

    Raises:
        CorpusError: no corpus is named, or a view has no parallel code.
    """
    require_source(study.corpus, study.model.id)
    for view in study.views.asked().values():
        if isinstance(view, ParallelSettings):
            require_parallel(view.parallel, study.model.id)


def input_paths(study: Study) -> list[Place]:
    """The paths that ``study`` reads, beside names on the Hub: what its run directory must keep clear of."""
    sources = study.corpus.source if isinstance(study.corpus.source, tuple) else (study.corpus.source,)
    named: list[Place] = [
        None if study.scoring.reuse is None else local_path(study.scoring.reuse),
        *(each.path if isinstance(each, Source) else each for each in sources),
        *(spec.data for _, spec in study.evaluation.tasks()),
        *(path for view in study.views.asked().values() for path in paths_read(view)),
    ]
    return input_places(study.model.id, *named)


def _described(role: TaskRole, task: EvaluationTask) -> Task:
    return Task(
        name=task.name,
        role=role,
        chance=task.chance,
        items=task.items,
        available=task.available,
        protocol=task.protocol,
    )
