"""Selective pruning of neurons (Pochinkov and Schoots 2024, arXiv 2403.01267), at once or step by step.

A neuron's key is s_code / s_general, the ratio of its score on the two kinds of text. Published scores are the mean of
|a| over tokens, the root of the mean of a^2, the standard deviation of a, and the share of tokens with a > 0
(:mod:`codingspot.units.scores`). Iterated, each step removes the best 2% of the neurons and scores the others in the
model that is left. There, 1e-5 is added to the denominator; several languages' scores are averaged here.
"""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.bench.methods import METHODS, SCOPE, BenchInput, MethodTraits
from codingspot.bench.rankings.unit_keys import keys_of_order, ranked_units, settings_of
from codingspot.settings import Count
from codingspot.units.refining import in_rounds
from codingspot.units.scores import UNIT_SCORES, UnitScoreName

_PAPER = "arXiv 2403.01267"
_SCORES = [name for name in UNIT_SCORES if UNIT_SCORES.reference(name) == _PAPER]


@METHODS.register(
    "selective_pruning",
    reference=_PAPER,
    traits=MethodTraits(
        variants=(*({"score": score} for score in _SCORES[1:]), *({"score": score, "steps": 5} for score in _SCORES))
    ),
)
def selective_pruning(
    bench: BenchInput,
    *,
    score: UnitScoreName = _SCORES[0],
    steps: Count = 1,
    step_percent: Annotated[float, Field(gt=0)] = 2.0,
) -> Float32[Tensor, " parameters"]:
    """Neurons by the ratio of their score on code to that on general text; each step removes some and scores again."""
    settings = settings_of(score)
    units, ranked = ranked_units(bench, "neuron", settings)
    inside = units.inside(SCOPE)
    order = ranked.order(inside, worst_first=False)
    if steps > 1:
        removed = round(steps * step_percent / 100 * int(units.sizes[inside].sum()))
        order = in_rounds(bench.given(), units, settings, order, inside, parameters=removed, rounds=steps)
    return keys_of_order(units, order)
