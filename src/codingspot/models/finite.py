"""Whether weights are numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from codingspot.errors import NonFiniteError
from codingspot.models.layout import unique_parameters
from codingspot.models.ranks import Ranks, own_part


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity, in any of its shards; one pass, no copy."""
    own = own_part(tensor.detach())
    finite = own.numel() == 0 or bool(torch.stack(own.aminmax()).isfinite().all())
    return Ranks.of([tensor]).sums(not finite) == (0,)


def first_non_finite(parameters: Mapping[str, nn.Parameter]) -> str | None:
    """Name of the first parameter that holds NaN or infinity."""
    return next((name for name, parameter in parameters.items() if not all_finite(parameter)), None)


def require_finite(model: nn.Module) -> None:
    """Refuse a model whose weights are not numbers.

    Raises:
        NonFiniteError: names the tensor.
    """
    name = first_non_finite(unique_parameters(model))
    if name is not None:
        raise NonFiniteError(f"weight {name} holds NaN or infinity; repair the checkpoint, or load it in float32")
