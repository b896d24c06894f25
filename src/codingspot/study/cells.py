"""Cells: the units of a study. One cell is one edited model, evaluated on every task and domain of the study."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from codingspot.records import Count

TaskRole = Literal["code", "general", "other"]
Purpose = Literal["dose", "refinement", "sufficiency", "draw"]
Control = str
"""Name of a control, such as ``uniform`` or ``matched``."""

ORIGINAL = "original"


class Asked(StrEnum):
    """What of the tasks a cell is asked, and why."""

    ALL = "all"
    DEAD = "dead"
    DOSE = "dose"
    UNMOVED = "unmoved"
    DRAW = "draw"
    PENDING = "pending"

    @property
    def asks_nothing(self) -> bool:
        """Whether the cell has losses alone."""
        return self in (Asked.DOSE, Asked.UNMOVED, Asked.DRAW, Asked.PENDING)


class Cell(BaseModel):
    """One edited model. The original model is the cell named ``original``, with nothing edited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spot: str | None = None
    """Name of the spot in the study; None for the original model."""
    recipe: str | None = None
    scope: str | None = None
    estimator: str | None = None
    without: tuple[str, ...] = ()
    """Names of the spots whose weights were left out when this one was found."""
    control: Control | None = None
    """None for the spot itself; otherwise how its control was drawn."""
    edit: str | None = None
    k_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Percentage of all the model's parameters (tied ones once)."""
    parameters: Count = 0
    """How many parameters were edited."""
    units: Count | None = None
    """How many whole units those are, of a spot of units; k is then rounded down to them."""
    seed: int | None = None
    purpose: Purpose = "dose"
    """``dose``: one of the study's grid. ``refinement``: a dose asked for after reading results, to find the onset and
    the largest dose that keeps general ability. ``sufficiency``: everything but the spot and a base set is zeroed.
    ``draw``: a further draw of a matched control at the dose judged, of which perplexity alone is taken."""

    @property
    def source(self) -> str:
        """Name of the spot or drawn control that is edited, the stem of its file."""
        return str(self.spot) if self.control is None else control_name(str(self.spot), self.control, self.seed)


def control_name(spot: str, control: Control, seed: int | None) -> str:
    """Name of one control of a spot, the stem of its file; ``seed`` is None where nothing is drawn."""
    return f"{spot}-{control}" if seed is None else f"{spot}-{control}-s{seed}"


class Task(BaseModel):
    """One evaluated task: its part in the study, its chance level in 0-1, and how many items were evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: TaskRole
    chance: Annotated[float, Field(ge=0, le=1)]
    items: Count
    available: Count | None = None
    """How many items there are, of which ``items`` were evaluated; None where that isn't known."""
    protocol: str = ""
    """How it was run, in a few words: examples shown, metric, which items."""


class EvaluatedDomain(BaseModel):
    """One domain whose held-out documents are evaluated by perplexity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["code", "general"]
    held_out: bool
    """True where the domain took no part in scoring."""
    documents: Count


class ModelSummary(BaseModel):
    """The model under study."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    id: str
    revision: str | None
    fingerprint: str
    weights: str | None = None
    """How the weights were read, where that wasn't as they were saved, as of a GGUF file."""
    parameters: Annotated[Count, Field(gt=0)]
    scopes: dict[str, Count]
    """Number of parameters in each scope."""


class Plan(BaseModel):
    """Everything a reader of Results needs to know about a run: ``plan.json`` of the run directory."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    study: str
    model: ModelSummary
    tasks: tuple[Task, ...]
    domains: tuple[EvaluatedDomain, ...]
    cells: tuple[Cell, ...]
    bootstrap_seed: Count = 0
    target: tuple[str, ...] = ()
    """The domains of the ability that was sought in the place of code; none: code itself."""
    notes: tuple[str, ...] = ()
    """How cells are evaluated, where that isn't on every item and token: sentences that stand beside their figures."""

    @model_validator(mode="after")
    def _names_differ(self) -> Plan:
        for named in (self.tasks, self.domains, self.cells):
            names = [each.name for each in named]
            if len(set(names)) < len(names):
                raise ValueError(f"two {type(named[0]).__name__.lower()}s have the same name")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if value or key not in ("target", "notes")}

    def with_role(self, role: TaskRole) -> tuple[Task, ...]:
        """The tasks with ``role``, in the study's order."""
        return tuple(task for task in self.tasks if task.role == role)

    def spots(self) -> tuple[str, ...]:
        """Names of the study's spots, in its order."""
        return tuple(dict.fromkeys(cell.spot for cell in self.cells if cell.spot and cell.purpose == "dose"))
