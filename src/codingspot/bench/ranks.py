"""Ranks of keys that may be tied, and the parameters that are ranked."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from codingspot.models import ParameterLayout, role_of


def shared_ranks(keys: Float32[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Rank of every key, from 1 for the largest to 0; equal keys share their mean rank, minus infinity has 0."""
    from scipy.stats import rankdata  # it takes seconds to load

    ranks = torch.from_numpy((rankdata(keys.numpy()) - 1) / (len(keys) - 1))
    return ranks.masked_fill(keys == -torch.inf, 0.0)


def block_positions(layout: ParameterLayout) -> Int64[Tensor, " n"]:
    """Positions of the attention and MLP matrices, in order."""
    spans = [layout.slice(name) for name in layout.names if role_of(name).block in ("attention", "mlp")]
    return torch.cat([torch.arange(span.start, span.stop) for span in spans])
