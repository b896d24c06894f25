"""What a study file may set: a whole run, every setting checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from codingspot import learning as learning  # registers its recipe
from codingspot import units as units  # registers its recipe and controls
from codingspot.ablation import CONTROLS, EDITS, is_random
from codingspot.analysis_registry import analyses_by_default, named
from codingspot.corpus import Source
from codingspot.corpus.schemas import Variant
from codingspot.errors import CorpusError, StudyError
from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.standing import DRAWS_NEEDED
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.importance import DEFAULT_ESTIMATOR, ESTIMATORS, MICRO_BATCH, SMALL_MICRO_BATCH, FineTune, resolve
from codingspot.models import LARGE_MODEL, TESTBED, ScopeName
from codingspot.models.section import ModelSection
from codingspot.settings import Count, Dose, Doses, Name, NotEmpty, Seconds, Seed, Settings
from codingspot.spot import RECIPES, RecipeTraits, TrainingCost, check_recipe, recipe_parameters, training_cost
from codingspot.study.cells import Cell, Control, TaskRole
from codingspot.study.defaults import with_testbed_defaults
from codingspot.study.views_section import ViewsSection
from codingspot.views import VIEWS, views


@contextmanager
def _as_setting(prefix: str = "") -> Iterator[None]:
    """Turn what a registry says of a name or parameter into what pydantic reports with the setting's place."""
    try:
        yield
    except (CorpusError, StudyError) as error:
        raise ValueError(f"{prefix}{error}") from None


class CorpusSection(Settings):
    """What is scored and read: the testbed's world, or the sources that :func:`codingspot.corpus.open_corpus` takes."""

    source: str | Source | tuple[str | Source, ...] | None = Field(
        None, description="testbed, a Hub id, a path, or a list of ids, paths and sources with options of their own"
    )
    text_field: NotEmpty = Field("text", description="the column of the text in rows of no known data set")
    languages: tuple[Name, ...] | None = Field(
        None, description="the domains of code; all of a saved corpus, the eleven studied ones of other sources"
    )
    variant: Variant = Field("paper", description="how tiny-codes' answers are read")
    purified: bool = Field(True, description="whether code loses its comments, documentation and prose")
    documents: int = Field(700, ge=0, description="texts a domain for scoring, at most; 0: all")
    evaluation_documents: Count = Field(48, description="texts a domain kept from scoring, for perplexity")
    general: tuple[Name, ...] | None = Field(
        None, description="domains that are general text, besides those of which their source says so"
    )
    held_out: tuple[Name, ...] | None = Field(
        None, description="domains left out of scoring; what a saved corpus holds out, Python of the testbed's"
    )
    seed: Seed = Field(0, description="of the choice of texts and their order")

    @field_validator("source")
    @classmethod
    def _names_a_source(cls, source: Any) -> Any:
        if source == () or (isinstance(source, str) and not source.strip()):
            raise ValueError("it is empty; name a folder, a file, a Hub id or testbed")
        with _as_setting():
            for each in source if isinstance(source, tuple) else [source]:
                if isinstance(each, str):
                    Source(each)  # which refuses what is no path
        if isinstance(source, tuple) and TESTBED in source:
            if len(source) > 1:
                raise ValueError(f"{TESTBED} can't be put together with other sources; give it alone")
            return TESTBED
        return source


class ScoringSection(Settings):
    """How parameters are scored, per domain."""

    estimator: str = Field(DEFAULT_ESTIMATOR, description="how a parameter's score is computed on a domain")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="the estimator's own, such as reduction")
    normalise: Literal["tokens", "none", "zscore"] = Field(
        "tokens", description="of a domain's scores: by its tokens, not at all (of the loss summed), or to z-scores"
    )
    sequence_length: Count = Field(256, gt=1, description="tokens a sequence")
    token_budget: Count = Field(8192, description="tokens a domain")
    draws: Count = Field(4, description="disjoint parts of the budget, to see how far smaller budgets agree; 1: none")
    keep: Literal["all", "folded"] | None = Field(
        None,
        description="what is kept of the languages' scores: all, or the sum of their magnitudes, which most recipes do "
        f"with; where not given, the sum for models of over {LARGE_MODEL:,} parameters if the study's do",
    )
    micro_batch_tokens: Count | None = Field(
        None,
        description=f"tokens run at once; where not given, {MICRO_BATCH:,}, and {SMALL_MICRO_BATCH} on a CPU for "
        f"models of over {LARGE_MODEL:,} parameters",
    )
    seed: Seed = Field(0, description="of the order of documents")
    reuse: NotEmpty | None = Field(None, description="a finished run, or a score store, whose scores are taken")
    finetune: FineTune | None = Field(None, description="fine-tuning on each domain before its gradients are taken")
    snapshot_seeds: tuple[Seed, ...] = Field(
        (), description="further seeds of the fine-tuning whose snapshots are recorded, to be compared"
    )

    @model_validator(mode="after")
    def _estimator_exists(self) -> ScoringSection:
        with _as_setting():
            ESTIMATORS.check(*resolve(self.estimator, self.parameters))
        return self

    @model_validator(mode="after")
    def _draws_have_a_sequence(self) -> ScoringSection:
        draws = self.draws if ESTIMATORS.traits(*resolve(self.estimator, self.parameters)).additive else 1
        share = self.token_budget // draws
        if share < self.sequence_length:
            what = "" if draws == 1 else f" cut into scoring.draws = {draws} parts is {share} tokens each, which"
            raise ValueError(
                f"token_budget {self.token_budget}{what} is less than one sequence of {self.sequence_length}; raise "
                "scoring.token_budget, or lower scoring." + ("draws" if draws > 1 else "sequence_length")
            )
        return self

    @model_validator(mode="after")
    def _seeds_have_snapshots(self) -> ScoringSection:
        if self.snapshot_seeds and (self.finetune is None or not self.finetune.snapshots):
            raise ValueError("snapshot_seeds needs finetune.snapshots, the steps that are recorded; set them")
        return self


class SufficiencySection(Settings):
    """What is left when everything but the spot and a base set is zeroed: by the base alone, with the spot, with
    controls in its place (one draw of each)."""

    k_percent: tuple[Dose, ...] = Field(min_length=1, description="doses, in percent of all parameters")
    base: tuple[ScopeName, ...] = Field(("vocabulary", "norms"), description="scopes that are kept whole")
    largest_percent: float = Field(
        0.0, ge=0, le=100, description="percent of each other tensor's weights, the largest, that are kept"
    )


class JudgedSection(Settings):
    """The dose that a spot's verdict is on, named before anything is known of it, and draws of its matched controls.

    Perplexity alone is taken of the draws beyond ``control_seeds``.
    """

    k_percent: Dose = Field(description="the dose, one of the spot's")
    draws: Count = Field(
        DRAWS_NEEDED,
        le=10_000,
        description="of each random control with the spot's number in every tensor; 19 let a test reach 5%",
    )


class SpotSection(Settings):
    """One spot: a recipe in a scope, the doses at which it is edited, and its controls."""

    name: Name = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="as tables, figures and files have it")
    recipe: str = Field("sum", description="which parameters are the spot, best first")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="the recipe's own")
    scope: ScopeName = Field("all", description="where its parameters may lie")
    k_percent: Doses = Field(description="doses: how much is edited, in percent of all the model's parameters")
    without: tuple[str, ...] = Field(
        (), description="earlier spots whose weights are left out: is there another place as good?"
    )
    edit: str = Field("zero", description="what becomes of the spot's weights")
    edit_parameters: Mapping[str, Any] = Field(default_factory=dict, description="the edit's own, such as alpha")
    controls: tuple[Control, ...] = Field((), description="what is edited in the spot's place, to compare with")
    control_seeds: tuple[Seed, ...] = Field(
        (0, 1, 2), min_length=1, description="one draw of every random control a seed"
    )
    judged: JudgedSection | None = Field(
        None, description="the dose that the verdict is on, and how many draws of matched controls are evaluated there"
    )
    precision: float | None = Field(
        None,
        gt=0,
        description="further doses are evaluated until the onset, and the largest dose that keeps general ability, "
        "are known this closely, in log10 k; not given: on the grid only",
    )
    sufficiency: SufficiencySection | None = None

    @property
    def tested(self) -> bool:
        """Whether there are to be draws of controls enough for a test, which are then not drawn apart from the spot."""
        return self.judged is not None or len(self.control_seeds) >= DRAWS_NEEDED

    @property
    def _own_parameters(self) -> dict[str, Any]:
        return recipe_parameters(self.parameters)

    @property
    def traits(self) -> RecipeTraits:
        """What the spot's recipe declares of itself."""
        return RECIPES.traits(self.recipe, self._own_parameters)

    @property
    def training(self) -> TrainingCost | None:
        """What training the spot's recipe takes; None for one that is computed from scores."""
        return training_cost(self.recipe, self._own_parameters, self.k_percent[-1])

    @property
    def selected(self) -> tuple[str, Mapping[str, Any], float]:
        """Recipe, parameters and percentage of what is selected from scores: the spot, or what training begins with."""
        training = self.training
        if training is None:
            return self.recipe, self.parameters, self.k_percent[-1]
        return training.shortlist, {}, training.shortlist_percent

    @field_validator("controls")
    @classmethod
    def _controls_exist(cls, names: tuple[Control, ...]) -> tuple[Control, ...]:
        for name in names:
            if name not in CONTROLS:
                raise ValueError(f"unknown control {name!r}; use some of {', '.join(CONTROLS)}")
        return names

    @model_validator(mode="after")
    def _recipe_exists(self) -> SpotSection:
        with _as_setting(f"spot {self.name}: "):
            check_recipe(self.recipe, self.parameters)
            traits, _ = self.traits, self.training
        others = self.parameters.keys() - self._own_parameters.keys()
        if others and not traits.from_scores:
            raise ValueError(f"spot {self.name}: {min(others)} is for recipes computed from scores; leave it out")
        return self

    @model_validator(mode="after")
    def _controls_are_for_it(self) -> SpotSection:
        with _as_setting(f"spot {self.name}: "):
            drawn = [name for name in self.controls if CONTROLS.traits(name).of_units]
        if drawn and self.traits.unit == "weight":
            raise ValueError(f"spot {self.name}: {drawn[0]} draws whole units, and {self.recipe} selects weights")
        return self

    @model_validator(mode="after")
    def _removes_the_spot(self) -> SpotSection:
        with _as_setting(f"spot {self.name}: "):
            EDITS.check(self.edit, self.edit_parameters)
            rest = EDITS.traits(self.edit, self.edit_parameters).of_the_rest
        if rest:
            raise ValueError(f"spot {self.name}: {self.edit} edits what is outside the spot; ask for sufficiency")
        return self

    @model_validator(mode="after")
    def _is_judged_beside_controls(self) -> SpotSection:
        if self.judged is None:
            return self
        if self.judged.k_percent not in self.k_percent:
            raise ValueError(f"spot {self.name}: judged.k_percent is {self.judged.k_percent:g}, not in its k_percent")
        if not any(is_random(name) and CONTROLS.traits(name).matches_tensors for name in self.controls):
            raise ValueError(f"spot {self.name}: judged draws a matched control, and it has none; add one to controls")
        return self

    @model_validator(mode="after")
    def _sufficient_doses_are_found(self) -> SpotSection:
        if self.sufficiency is not None and max(self.sufficiency.k_percent) > self.k_percent[-1]:
            raise ValueError(f"spot {self.name}: sufficiency.k_percent exceeds the spot's own largest k")
        return self


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
    limit: Count | None = Field(None, description="first items of each task; all where not given")
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


class LanguageMatrixSection(Settings):
    """One spot a language, and what zeroing each does to the perplexity of all and to problems in some."""

    recipe: str = Field("sum", description="which parameters are the spot, best first")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="the recipe's own")
    scope: ScopeName = Field("blocks", description="where their parameters may lie")
    k_percent: Dose = Field(0.25, description="the dose of every language's spot, in percent of all parameters")
    languages: tuple[Name, ...] | None = Field(None, description="whose spots; all that are scored where not given")
    tasks: tuple[Name, ...] = Field((), description="asked under each edit; without any, losses alone are taken")
    limit: Count | None = Field(40, description="first items of each task; all where null")

    @model_validator(mode="after")
    def _recipe_exists(self) -> LanguageMatrixSection:
        with _as_setting():
            check_recipe(self.recipe, self.parameters)
        return self


def _view_keys() -> str:
    *others, last = [f"views.{name}" for name in views() if not VIEWS.traits(name).by_default]
    return f"{', '.join(others)} or {last}"


class Study(Settings):
    """A whole run: one model, one corpus, one scoring, any number of spots, one evaluation."""

    name: Name = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$", description="of the run, as its report has it")
    description: str = ""
    model: ModelSection = ModelSection()
    corpus: CorpusSection = CorpusSection()
    scoring: ScoringSection = ScoringSection()
    spots: tuple[SpotSection, ...] = ()
    evaluation: EvaluationSection = EvaluationSection()
    analyses: tuple[Annotated[str, AfterValidator(named)], ...] = Field(
        default_factory=analyses_by_default, description="tables made from scores and spots alone"
    )
    language_matrix: LanguageMatrixSection | None = None
    views: ViewsSection = ViewsSection()

    @model_validator(mode="before")
    @classmethod
    def _has_the_testbed_s_own(cls, data: Any) -> Any:
        return with_testbed_defaults(data)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Study:
        if not self.spots and not self.views.any:
            raise ValueError(f"a study needs at least one spot, or a view ({_view_keys()})")
        return self

    @model_validator(mode="after")
    def _draws_are_linear(self) -> Study:
        if self.scoring.draws > 1 and self.scoring.finetune is not None:
            raise ValueError("scoring.finetune makes draws that don't add up; set scoring.draws to 1")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Study:
        names = [spot.name for spot in self.spots]
        if len(set(names)) != len(names):
            raise ValueError("two spots have the same name; give each its own")
        for number, spot in enumerate(self.spots):
            unknown = set(spot.without) - set(names[:number])
            if unknown:
                raise ValueError(f"spot {spot.name}: without names {min(unknown)!r}, which is no spot before it")
        return self

    @model_validator(mode="after")
    def _tasks_are_at_doses(self) -> Study:
        doses = {k for spot in self.spots for k in spot.k_percent}
        absent = sorted(set(self.evaluation.tasks_at or ()) - doses)
        if absent:
            raise ValueError(f"evaluation.tasks_at names {absent[0]:g}, which is in no spot's k_percent")
        for spot in self.spots:
            if spot.judged and self.evaluation.tasks_at and spot.judged.k_percent not in self.evaluation.tasks_at:
                k = spot.judged.k_percent
                raise ValueError(
                    f"spot {spot.name} is judged at {k:g}, where evaluation.tasks_at asks no tasks; add it"
                )
        return self

    def to_yaml(self) -> str:
        """The study as YAML, every setting written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
