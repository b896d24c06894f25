"""What a study file may set: a whole run, every setting checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, model_validator

from codingspot.analysis_registry import analyses_by_default, named
from codingspot.models import ScopeName
from codingspot.models.section import ModelSection
from codingspot.settings import Count, Dose, Name, Settings, as_setting
from codingspot.study.corpus_section import CorpusSection
from codingspot.study.defaults import with_testbed_defaults
from codingspot.study.evaluation_section import EvaluationSection
from codingspot.study.scoring_section import ScoringSection
from codingspot.study.spot_section import SpotSection
from codingspot.study.views_section import ViewsSection
from codingspot.views import VIEWS, views


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
        with as_setting():
            self.spot()
        return self

    def spot(self, language: str | None = None) -> SpotSection:
        """The spot of a language, or of all together, as a study has it."""
        only = {} if language is None else {"languages": [language]}
        return SpotSection(
            name="language_matrix",
            recipe=self.recipe,
            parameters={**self.parameters, **only},
            scope=self.scope,
            k_percent=(self.k_percent,),
        )


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

    @property
    def selections(self) -> tuple[SpotSection, ...]:
        """Whatever is to be selected: the spots, and those of the language matrix."""
        matrix = self.language_matrix
        return self.spots if matrix is None else (*self.spots, *map(matrix.spot, matrix.languages or (None,)))

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
