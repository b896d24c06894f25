"""Units by absolute attribution, PLS (arXiv 2512.19980).

PLS(u) is the mean over tokens of |a_u dL/da_u|, of a head that of its numbers' products added up. As published, a unit
is specific to what it scores highest on if that is at least 1.5 times its next highest score, and specific units are
ordered by the score; here the two are code (the mean over languages) and the general domain that needs it most. The
score itself, code minus general, is a way to rank all of them.
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.bench.entries import measured_ranking
from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
from codingspot.bench.rankings.unit_keys import keys_of_units, ranked_units, settings_of
from codingspot.models import UnitKind
from codingspot.units.contrast import Normalise

_PAPER = "arXiv 2512.19980"


@METHODS.register("heads_by_pls", reference=_PAPER)
def heads_by_pls(bench: BenchInput) -> Float32[Tensor, " parameters"]:
    """Attention heads by absolute attribution, code minus general text (arXiv 2512.19980)."""
    return measured_ranking(bench, recipe="units", unit="head", score="pls", contrast="difference")


@METHODS.register(
    "specific_by_pls",
    reference=_PAPER,
    traits=MethodTraits(variants=({"normalise": "domain"}, {"unit": "neuron"})),
)
def specific_by_pls(
    bench: BenchInput,
    *,
    unit: UnitKind = "head",
    times: Annotated[float, Field(ge=1)] = 1.5,
    normalise: Normalise = "none",
) -> Float32[Tensor, " parameters"]:
    """Units whose absolute attribution for code is at least 1.5 times that for general text, by that for code.

    With ``normalise="domain"`` each domain's scores are first divided by their mean.
    """
    units, ranked = ranked_units(bench, unit, settings_of("pls", normalise=normalise))
    specific = ranked.code >= times * ranked.general
    return keys_of_units(units, ranked.code.masked_fill(~specific, -torch.inf))
