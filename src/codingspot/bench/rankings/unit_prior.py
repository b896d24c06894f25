"""Weights by a contrast of their scores, in units that are for code: two kinds of evidence, one key.

1. A unit (neuron; head for q and o; key-value group for k and v) is for code if it writes more on code than on general
   text, and if general text does not need it. Its prior is the rank of rms_code / rms_general (:mod:`codingspot.units`,
   smoothed by a tenth of the means) plus the rank of minus its attribution on general text, which is how much the loss
   of general text would fall, to first order, without the unit; both among units of its kind.
2. A weight's own evidence is the rank of its key by a recipe over an estimator's scores, in the blocks.
3. Its key is the sum of the rank of its unit's prior among units of that kind and its own. Ranks run from 0 to 1, so
   that nothing has to be weighed or scaled.

Activity alone can't tell a unit that disturbs general text from one that serves it; the sign of the attribution can.
Weights alone can't tell that others of their unit are for code, too.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from codingspot.bench.entries import ranked
from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
from codingspot.bench.rankings.unit_keys import keys_of_units, ranked_units, settings_of
from codingspot.bench.ranks import block_positions, shared_ranks
from codingspot.models import UnitKind, Units

_KINDS: Final[tuple[UnitKind, ...]] = ("group", "head", "neuron")
"""Later ones take the place of earlier ones where they share weights."""


@METHODS.register("unit_prior", traits=MethodTraits(variants=({"estimator": "wanda"}, {"recipe": "share"})))
def unit_prior(
    bench: BenchInput, *, estimator: str = "fisher", recipe: str = "log_ratio"
) -> Float32[Tensor, " parameters"]:
    """Weights by a contrast of their scores, in units that write for code and aren't needed by general text."""
    keys = ranked(bench, estimator=estimator, recipe=recipe)
    prior = torch.zeros_like(keys)
    for kind in _KINDS:
        units, found = prior_of_units(bench, kind)
        of_weights = keys_of_units(units, found)
        prior = torch.where(of_weights > -torch.inf, of_weights, prior)
    blocks = block_positions(units.layout)
    together = torch.full_like(keys, -torch.inf)
    together[blocks] = prior[blocks] + shared_ranks(keys[blocks]).float()
    return together


def prior_of_units(bench: BenchInput, kind: UnitKind) -> tuple[Units, Float64[Tensor, " units"]]:
    """The units of a kind, and of each how likely it is for code: a rank from 0 to 1."""
    common = {"normalise": "domain", "smoothing": 0.1}
    units, written = ranked_units(bench, kind, settings_of("rms", contrast="ratio", **common))
    _, needed = ranked_units(bench, kind, settings_of("attribution", contrast="difference", **common))
    return units, _ranks(_ranks(written.keys) + _ranks(-needed.general))


def _ranks(keys: Float64[Tensor, " units"]) -> Float64[Tensor, " units"]:
    return shared_ranks(keys.float())
