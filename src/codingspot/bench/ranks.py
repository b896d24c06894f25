"""The parameters that are ranked."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.models import ParameterLayout, role_of


def block_positions(layout: ParameterLayout) -> Int64[Tensor, " n"]:
    """Positions of the attention and MLP matrices, in order."""
    spans = [layout.slice(name) for name in layout.names if role_of(name).block in ("attention", "mlp")]
    return torch.cat([torch.arange(span.start, span.stop) for span in spans])
