"""Attention heads by their attention probabilities: attention rollout, and attention weighted by its gradient.

The formulas stand in :mod:`codingspot.units.attention`. Both were published to explain one prediction by its input;
here a head's part of that, averaged over the predictions of a text, is its score, and its key the ratio of code to
general text, as the recipe ``units`` has it.
"""

from __future__ import annotations

from jaxtyping import Float32
from torch import Tensor

from codingspot.bench.entries import measured_ranking
from codingspot.bench.methods import METHODS, BenchInput


@METHODS.register("heads_by_rollout", reference="arXiv 2005.00928")
def heads_by_rollout(bench: BenchInput) -> Float32[Tensor, " parameters"]:
    """Attention heads by attention rollout, code over general text (arXiv 2005.00928)."""
    return measured_ranking(bench, recipe="units", unit="head", score="rollout")


@METHODS.register("heads_by_attention_gradient", reference="arXiv 2103.15679")
def heads_by_attention_gradient(bench: BenchInput) -> Float32[Tensor, " parameters"]:
    """Attention heads by gradient-weighted attention, code over general text (arXiv 2103.15679)."""
    return measured_ranking(bench, recipe="units", unit="head", score="attention_gradient")
