"""Learned masks: a spot found by training which weights to remove, the weights themselves frozen; what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily
from codingspot.learning import recipe as recipe  # registers it

if TYPE_CHECKING:
    from codingspot.learning.learner import Cost, Learner, Measure, Split, domain_losses
    from codingspot.learning.mask import LearnSettings, learn_mask, learning_memory
    from codingspot.learning.questions import (
        Answer,
        arbitrary_splits,
        each_against_others,
        held_out_in_turn,
        rises,
        shuffled_splits,
        stability,
        uniqueness,
    )
    from codingspot.learning.relearning import RelearnSettings, dose_that_harms, relearned, relearning

__all__ = [
    "Answer",
    "Cost",
    "LearnSettings",
    "Learner",
    "Measure",
    "RelearnSettings",
    "Split",
    "arbitrary_splits",
    "domain_losses",
    "dose_that_harms",
    "each_against_others",
    "held_out_in_turn",
    "learn_mask",
    "learning_memory",
    "relearned",
    "relearning",
    "rises",
    "shuffled_splits",
    "stability",
    "uniqueness",
]

load_lazily(__name__)
