"""How much each parameter matters to each domain: estimators, and the score stores they fill."""

from codingspot.importance.draws import disjoint_draws, merge, score_pieces
from codingspot.importance.estimators import ESTIMATORS, DomainInput, Estimate
from codingspot.importance.finetune import FineTune
from codingspot.importance.scoring import score
from codingspot.importance.store import DomainScores, NewDomainScores, Normalisation, ScoreStore

__all__ = [
    "ESTIMATORS",
    "DomainInput",
    "DomainScores",
    "Estimate",
    "FineTune",
    "NewDomainScores",
    "Normalisation",
    "ScoreStore",
    "disjoint_draws",
    "merge",
    "score",
    "score_pieces",
]
