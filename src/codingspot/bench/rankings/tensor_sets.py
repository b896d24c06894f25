"""Weights in the top of their tensor for code and not for general text: what two published methods remove."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float32
from torch import Tensor

from codingspot.bench.methods import SCOPE
from codingspot.models import ParameterLayout
from codingspot.spot.candidates import names_in


def set_difference_in_tensors(
    layout: ParameterLayout,
    code: Callable[[str], Tensor],
    general: Callable[[str], Tensor],
    *,
    code_percent: float,
    general_percent: float,
) -> Float32[Tensor, " parameters"]:
    """Of each tensor in the blocks the best ``code_percent`` for code without the best for general text.

    They are ordered by minus the share of the weights of their tensor that have a larger score on code, so that tensors
    of all sizes and scales take turns; all others are left out. ``code`` and ``general`` give a tensor's scores by its
    name. Of equal scores the first by position counts as the larger.
    """
    keys = torch.full((layout.total,), -torch.inf)
    for name in names_in(layout, SCOPE):
        size = layout.sizes[name]
        above_code, above_general = (_larger(scores(name).flatten()) for scores in (code, general))
        chosen = (above_code < int(code_percent / 100 * size)) & (above_general >= int(general_percent / 100 * size))
        keys[layout.slice(name)] = (-above_code / size).float().masked_fill(~chosen, -torch.inf)
    return keys


def _larger(scores: Float32[Tensor, " n"]) -> Tensor:
    """How many scores are larger than each."""
    order = torch.argsort(scores, descending=True, stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    return places
