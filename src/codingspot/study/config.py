"""The study file: a whole run as validated YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from codingspot.ablation import CONTROLS
from codingspot.corpus import BosPolicy, Source
from codingspot.corpus.languages import STUDIED
from codingspot.corpus.schemas import Variant
from codingspot.errors import StudyError
from codingspot.importance.finetune import FineTune
from codingspot.study.cells import Control

LEARNED = "learned"
"""The recipe that is trained (:mod:`codingspot.learning`) rather than computed from scores."""

TESTBED = "testbed"
"""The model id, corpus and tasks that ship with the package."""


def _percent(value: float) -> float:
    if not 0 < value <= 100:
        raise ValueError(f"k is in percent of all parameters, above 0 and at most 100; {value} is not")
    return value


Percent = Annotated[float, AfterValidator(_percent)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ModelSection(_Section):
    """Which model: a Hub id, a local folder, or ``testbed`` for the model that ships with the package."""

    id: str = TESTBED
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str | None = None
    trust_remote_code: bool = False


class CorpusSection(_Section):
    """What is scored and read: the testbed's world, or the sources that :func:`codingspot.corpus.open_corpus` takes."""

    source: str | Source | tuple[str | Source, ...] = Field(
        TESTBED, description="testbed, a Hub id, a path, or a list of ids, paths and sources with options of their own"
    )
    text_field: str = Field("text", description="the column of the text in rows of no known data set")
    languages: tuple[str, ...] = Field(STUDIED, description="languages taken where a source has several")
    variant: Variant = Field("paper", description="how tiny-codes' answers are read")
    purified: bool = Field(True, description="whether code loses its comments, documentation and prose")
    documents: int = Field(700, gt=0, description="texts a domain for scoring, at most")
    evaluation_documents: int = Field(48, gt=0, description="texts a domain kept from scoring, for perplexity")
    general: tuple[str, ...] = ("english",)
    held_out: tuple[str, ...] = ("python",)
    seed: int = 0


class ScoringSection(_Section):
    """How parameters are scored, per domain."""

    estimator: str = "taylor"
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="the estimator's own, such as reduction")
    normalise: Literal["tokens", "none", "zscore"] = "tokens"
    sequence_length: int = Field(256, gt=1)
    bos: BosPolicy = Field("none", description="where a beginning-of-text token stands")
    token_budget: int = Field(8192, gt=0, description="tokens a domain")
    draws: int = Field(
        4, gt=0, description="disjoint parts of the budget, to see how far smaller budgets agree; 1: none"
    )
    micro_batch_tokens: int = Field(2048, gt=0)
    seed: int = 0
    finetune: FineTune | None = None


class SpotSection(_Section):
    """One spot: a recipe in a scope, the doses at which it is edited, and its controls."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    recipe: str = "sum"
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    scope: str = "all"
    k_percent: tuple[Percent, ...] = Field(min_length=1)
    edit: str = "zero"
    controls: tuple[Control, ...] = ()
    control_seeds: tuple[int, ...] = (0, 1, 2)

    @field_validator("controls")
    @classmethod
    def _controls_exist(cls, names: tuple[Control, ...]) -> tuple[Control, ...]:
        for name in names:
            if name not in CONTROLS:
                raise ValueError(f"unknown control {name!r}; use some of {', '.join(CONTROLS)}")
        return names

    @model_validator(mode="after")
    def _doses_increase(self) -> SpotSection:
        if sorted(set(self.k_percent)) != list(self.k_percent):
            raise ValueError(f"spot {self.name}: k_percent must increase strictly, without repeats")
        return self


class EvaluationSection(_Section):
    """Tasks by lm-evaluation-harness name; ``code`` and ``general`` enter the metrics, ``other`` is reported."""

    code: tuple[str, ...] = ("testbed_humaneval",)
    general: tuple[str, ...] = (
        "testbed_arithmetic",
        "testbed_events",
        "testbed_knowledge",
        "testbed_misconceptions",
        "testbed_roles",
    )
    other: tuple[str, ...] = ("testbed_comprehension",)
    limit: int | None = Field(None, gt=0, description="first items of each task; all where not given")
    code_limit: int | None = Field(None, gt=0, description="first items of each code task; all where not given")
    samples: int = Field(1, gt=0, description="programs a problem (n of pass@k)")
    temperature: float = Field(0.0, ge=0)
    batch_tokens: int | None = Field(None, gt=0, description="padded tokens of a batch; the adapter's own default")
    sandbox_seconds: float = Field(3.0, gt=0)
    unsafe_no_sandbox: bool = False


class Study(_Section):
    """A whole run: one model, one corpus, one scoring, any number of spots, one evaluation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")
    description: str = ""
    model: ModelSection = ModelSection()
    corpus: CorpusSection = CorpusSection()
    scoring: ScoringSection = ScoringSection()
    spots: tuple[SpotSection, ...] = Field(min_length=1)
    evaluation: EvaluationSection = EvaluationSection()

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
        return self

    def to_yaml(self) -> str:
        """The study as YAML, every setting written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_study(path: Path) -> Study:
    """Read and validate a study file.

    Raises:
        StudyError: the file is missing or isn't a valid study; the message names the first setting at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise StudyError(
            f"{path} can't be read as a study file; `codingspot demo --show-study` prints one to start from"
        ) from None
    return parse_study(text, str(path))


def parse_study(text: str, origin: str) -> Study:
    """Validate a study given as YAML; ``origin`` names it in messages.

    Raises:
        StudyError: as :func:`load_study`.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{origin} is not valid YAML: {reason}") from None
    if not isinstance(data, dict):
        raise StudyError(f"{origin} must be a mapping with the keys of a study (name, model, corpus, spots, ...)")
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "study"
        raise StudyError(f"{origin}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
