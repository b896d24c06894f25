"""The manifest of a score store: its keys and types, declared once; and what it says of a domain."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from codingspot.corpus import DomainKind
from codingspot.records import Count, FileName, Plain, Record

FORMAT = "codingspot-scores"
Normalisation = Literal["tokens", "none", "zscore"]
ScoreDtype = Literal["float32", "float16"]
NonNegative = Annotated[float, Field(ge=0)]


class ModelRecord(Record):
    """The weights that an artefact was made from."""

    id: str | None = None
    revision: str | None = None
    fingerprint: str | None = None
    weights: str | None = None


class CorpusRecord(Record):
    """The text that an artefact was made from."""

    name: str | None = None
    fingerprint: str | None = None


class EstimatorRecord(Record):
    """The estimator; its parameters are its own."""

    name: str | None = None


class SettingsRecord(Record):
    """Those settings of scoring that the program reads again."""

    token_budget: Count | None = None
    finetune: Plain | None = None


class DetailsRecord(Record):
    """What an estimator says of one domain."""

    tokens: Count | None = None
    loss: float | None = None
    finetuning_losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class DomainScores:
    """What a store holds about one domain, beside its tensors.

    ``predicted_tokens`` is the number the loss was divided by. ``mean`` and ``deviation`` are those of the
    absolute scores over all parameters. ``details`` is what the estimator adds, such as the loss in nats a
    token.
    """

    name: str
    kind: DomainKind
    predicted_tokens: int
    mean: float
    deviation: float
    files: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


class DomainRecord(Record):
    """One domain of a store; ``files`` are named after it."""

    name: str = Field(min_length=1)
    kind: DomainKind
    predicted_tokens: Count = Field(gt=0)
    mean: NonNegative
    deviation: NonNegative
    files: tuple[FileName, ...] = Field(min_length=1)
    details: DetailsRecord = DetailsRecord()

    @model_validator(mode="after")
    def _its_own_files(self) -> DomainRecord:
        shard = re.compile(re.escape(quote(self.name, safe="")) + r"(-\d{5,}-of-\d{5,})?\.safetensors")
        for file in self.files:
            if not shard.fullmatch(file):
                raise ValueError(f"{file!r} is no file of domain {self.name!r}")
        return self


class StoreManifest(Record):
    """``manifest.json`` of a score store. What else it says of where the scores are from is kept as it is."""

    format: Literal["codingspot-scores"]
    normalise: Normalisation
    keep_dtype: ScoreDtype = "float32"
    domains: tuple[DomainRecord, ...] = Field(min_length=1)
    layout: tuple[tuple[str, tuple[Count, ...]], ...] = Field(min_length=1)
    versions: dict[str, str] = Field(default_factory=dict)
    model: ModelRecord | None = None
    corpus: CorpusRecord | None = None
    estimator: EstimatorRecord | None = None
    settings: SettingsRecord | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> StoreManifest:
        names = [domain.name for domain in self.domains]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"two domains are named {repeated!r}")
        return self
