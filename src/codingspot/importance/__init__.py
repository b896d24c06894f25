"""How much each parameter matters to each domain: estimators, and the score stores they fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.importance import activations as activations  # these register their estimators
from codingspot.importance import baselines as baselines
from codingspot.importance import curvature as curvature
from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.importance.draws import disjoint_draws, merge
    from codingspot.importance.estimators import (
        ALIASES,
        DEFAULT_ESTIMATOR,
        ESTIMATORS,
        MICRO_BATCH,
        SMALL_MICRO_BATCH,
        DomainInput,
        Estimate,
        EstimatorTraits,
        estimator_traits,
        micro_batch,
        resolve,
    )
    from codingspot.importance.finetune import FineTune
    from codingspot.importance.manifest import DomainScores, Normalisation
    from codingspot.importance.scoring import record_snapshots, score
    from codingspot.importance.store import ScoreStore
    from codingspot.importance.writing import NewDomainScores

__all__ = [
    "ALIASES",
    "DEFAULT_ESTIMATOR",
    "ESTIMATORS",
    "MICRO_BATCH",
    "SMALL_MICRO_BATCH",
    "DomainInput",
    "DomainScores",
    "Estimate",
    "EstimatorTraits",
    "FineTune",
    "NewDomainScores",
    "Normalisation",
    "ScoreStore",
    "disjoint_draws",
    "estimator_traits",
    "merge",
    "micro_batch",
    "record_snapshots",
    "resolve",
    "score",
]

load_lazily(__name__)
