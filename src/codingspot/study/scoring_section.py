"""What a study may set of scoring its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from codingspot.importance import DEFAULT_ESTIMATOR, ESTIMATORS, MICRO_BATCH, SMALL_MICRO_BATCH, FineTune, resolve
from codingspot.importance.manifest import ScoreDtype
from codingspot.models import LARGE_MODEL
from codingspot.settings import Count, NotEmpty, Seed, Settings, as_setting


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
    keep_dtype: ScoreDtype = Field("float32", description="in what type scores are kept; float16 takes half the disk")
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
        with as_setting():
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
