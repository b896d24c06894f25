r"""Heads by their attention probabilities: what these add to a domain's sums.

A_h[i, j] is the probability with which head h, one of H in its layer, attends from query position i to key position j,
A the mean over a layer's heads, and L the loss summed over the P predicted tokens.

1. *Gradient-weighted attention* (Chefer et al., arXiv 2012.09838 and 2103.15679, where it is averaged over a layer's
   heads) is the sum over i and j of max(0, -A_h[i, j] dL/dA_h[i, j]): what the attention that helps the predictions
   spares the loss, to first order. Its sum with the harmful part is no new score: over j, A_h[i, j] dL/dA_h[i, j] adds
   up to a dL/da of the head's output a at i, of which ``attribution`` and ``pls`` are made.
2. *Attention rollout* (Abnar and Zuidema, arXiv 2005.00928) takes it that a layer hands on half of what stands at a
   position and half of what its heads attend to, (I + A) / 2; the product over the layers says where predictions come
   from. A head's part is what it brings from other positions: the sum over i and 0 < j != i of flow[i] A_h[i, j] / 2H,
   where flow[i] is how much of what stands at i above the layer reaches the predicting positions.

Both are divided by P. The first position hands on as any other, but what a head brings from it doesn't count: heads
that have nothing to bring attend to it (attention sinks, arXiv 2309.17453), and would stand highest otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from codingspot.errors import ModelError
from codingspot.models import Units, find_units

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

MAX_PROBABILITIES = 1 << 27
"""Most attention probabilities held at once (half a gigabyte in float32), unless one sequence alone has more."""

Probabilities = Float[Tensor, "rows heads queries keys"]


def gradient_weighted(
    probabilities: Probabilities, gradients: Tensor | None, _units: int
) -> Float[Tensor, "rows heads"]:
    """Minus probability times gradient where that is above 0, summed over queries and keys."""
    assert gradients is not None
    return (probabilities.float() * gradients.float()).neg_().clamp_(min=0).sum((-2, -1))


def from_elsewhere(
    probabilities: Probabilities, _gradients: Tensor | None, _units: int
) -> Float[Tensor, "rows heads queries"]:
    """Which part of what stands at a position above its layer each head brought from others but the first."""
    heads = probabilities.float()
    own = heads.diagonal(dim1=-2, dim2=-1)
    elsewhere = heads[..., 1:].sum(-1) - own
    elsewhere[..., 0] = 0  # whose own place is the first
    return elsewhere / (2 * heads.shape[1])


class Flow:
    """What heads bring to positions of a batch, on its way through the layers above, each seen once and let go."""

    def __init__(self) -> None:
        self._carried: dict[tuple[str, str], Float[Tensor, "rows heads queries"]] = {}

    def hand_on(self, probabilities: Probabilities) -> None:
        """All that lower layers' heads brought goes through a layer."""
        if not self._carried:
            return
        mean = probabilities.mean(1, dtype=torch.float32)
        for key, below in self._carried.items():
            carried = below.to(mean.device)
            self._carried[key] = (carried + carried @ mean.mT) / 2

    def bring(self, statistic: str, name: str, added: Float[Tensor, "rows heads queries"]) -> None:
        """What a layer's own heads bring, after it handed on what was brought below."""
        self._carried[statistic, name] = added

    def take(self) -> Iterator[tuple[str, str, Float[Tensor, "rows heads"]]]:
        """What reached the predictions, by statistic and name; the next batch begins with nothing."""
        taken, self._carried = self._carried, {}
        for (statistic, name), carried in taken.items():
            yield statistic, name, carried[..., :-1].sum(-1)  # the last position predicts nothing


def sequences_at_once(model: PreTrainedModel, length: int, *, backward: bool) -> int:
    """How many sequences' attention probabilities may be held: of all layers for a backward pass, or else of one."""
    heads = [site.width for site in find_units(model, "head").sites]
    held = sum(heads) if backward else max(heads)
    return max(1, MAX_PROBABILITIES // (held * length**2))


def require_attention_everywhere(model: PreTrainedModel, units: Units) -> None:
    """Check that every layer has heads: what goes another way through a layer can't be followed.

    Raises:
        ModelError: one has none.
    """
    without = set(range(model.config.get_text_config().num_hidden_layers)) - {site.layer for site in units.sites}
    if without:
        raise ModelError(
            f"layer {min(without)} of {type(model).__name__} has no attention heads, through which attention rollout "
            "would follow it; choose another unit score, such as attention_gradient"
        )
