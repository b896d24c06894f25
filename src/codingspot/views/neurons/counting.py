"""How often each MLP neuron is active on each domain, counted exactly in one pass over packed or padded tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import ArtefactError, ModelError, NonFiniteError
from codingspot.files import atomic_path, reason
from codingspot.views.neurons.sites import NeuronLayout, observed


@dataclass(frozen=True)
class ActivationCounts:
    """Tokens on which each neuron is active.

    Attributes:
        domains: names, one a column.
        active: int64 ``[neurons, domains]``, in the order of the model's :class:`NeuronLayout`.
        tokens: int64 ``[domains]``, all tokens read. A token that isn't routed to an expert leaves it inactive.
    """

    domains: tuple[str, ...]
    active: np.ndarray
    tokens: np.ndarray

    def __add__(self, other: ActivationCounts) -> ActivationCounts:
        """The counts of both texts together.

        Raises:
            ArtefactError: they are of different domains or models.
        """
        if self.domains != other.domains or self.active.shape != other.active.shape:
            raise ArtefactError("activation counts of other domains or of another model can't be added")
        return ActivationCounts(self.domains, self.active + other.active, self.tokens + other.tokens)

    @property
    def probabilities(self) -> np.ndarray:
        """Share of its tokens on which a neuron is active: float64 ``[neurons, domains]``."""
        shares: np.ndarray = self.active / self.tokens
        return shares

    @classmethod
    def side_by_side(cls, parts: Sequence[ActivationCounts]) -> ActivationCounts:
        """Counts of several domains in one table."""
        return cls(
            tuple(name for part in parts for name in part.domains),
            np.concatenate([part.active for part in parts], axis=1),
            np.concatenate([part.tokens for part in parts]),
        )


def save_parts(parts: Sequence[ActivationCounts], path: Path) -> None:
    """Write one domain's counts, part by part, to a safetensors file."""
    active, tokens = np.stack([part.active[:, 0] for part in parts]), np.array([part.tokens[0] for part in parts])
    tensors = {"active": active, "tokens": tokens}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"domain": parts[0].domains[0]})


def load_parts(path: Path) -> list[ActivationCounts]:
    """Read what :func:`save_parts` wrote.

    Raises:
        ArtefactError: the file is missing, truncated or corrupt.
    """
    try:
        with safe_open(path, "numpy") as file:
            domain, active, tokens = file.metadata()["domain"], file.get_tensor("active"), file.get_tensor("tokens")
    except Exception as error:  # safetensors has several error types of its own
        raise ArtefactError(f"{path} is missing or corrupt ({reason(error)}); delete it and run again") from None
    counted = active.dtype == tokens.dtype == np.int64 and active.ndim == 2 and tokens.shape == active.shape[:1]
    if not counted or (active < 0).any() or (active > tokens[:, None]).any():
        raise ArtefactError(f"{path} is corrupt (its counts are none); delete it and run again")
    return [ActivationCounts((domain,), row[:, None], count[None]) for row, count in zip(active, tokens, strict=True)]


@torch.no_grad()
def count_activations(
    model: PreTrainedModel,
    layout: NeuronLayout,
    domain: str,
    input_ids: Tensor,
    *,
    mask: Tensor | None = None,
    batch_tokens: int = 4096,
    parts: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> list[ActivationCounts]:
    """Count on how many tokens of one domain each neuron is active (its activation is above 0).

    Args:
        model: any causal language model of the transformers library.
        layout: its neurons, from :func:`find_sites`.
        domain: name of the column.
        input_ids: int64 ``[sequences, length]``.
        mask: bool like ``input_ids``, False where there is padding (on the right), which is not counted; none by
            default.
        batch_tokens: most tokens of a forward pass; at least one sequence is read.
        parts: the sequences are cut into so many runs of about equal length, counted apart; see
            :meth:`ActivationCounts.__add__`.
        progress: told how many tokens were read, batch by batch.

    Returns:
        One count of the one domain for each part. Parts without a sequence are left out.

    Raises:
        NonFiniteError: a hidden state is not a number; the message names the domain.
    """
    counter = _Counter(layout, model.device)
    rows = max(1, batch_tokens // input_ids.shape[1])
    bounds = [round(part * len(input_ids) / parts) for part in range(parts + 1)]
    found = []
    with observed(model, layout, counter.observe):
        for start, end in pairwise(bounds):
            tokens = 0
            for first in range(start, end, rows):
                batch = slice(first, min(first + rows, end))
                real = None if mask is None else mask[batch]
                counter.use(real)
                output: Any = model.base_model(input_ids=input_ids[batch].to(model.device), use_cache=False)
                if not output.last_hidden_state.isfinite().all():
                    raise NonFiniteError(f"hidden states on {domain!r} are not finite; load the model in float32")
                read = input_ids[batch].numel() if real is None else int(real.sum())
                tokens += read
                progress(read)
            if start < end:
                found.append(ActivationCounts((domain,), counter.take()[:, None], np.array([tokens])))
    return found


class _Counter:
    """Sums of active tokens by site and expert, on the device."""

    def __init__(self, layout: NeuronLayout, device: torch.device) -> None:
        self.layout, self.device = layout, device
        self._real: Tensor | None = None
        self.clear()

    def clear(self) -> None:
        """Begin again at 0."""
        self._sums = [
            torch.zeros(site.experts, site.width, dtype=torch.int64, device=self.device) for site in self.layout.sites
        ]

    def use(self, real: Tensor | None) -> None:
        """Which tokens of the next forward pass count; None: all."""
        self._real = None if real is None else real.flatten().to(self.device)

    def observe(self, number: int, expert: int, activations: Tensor, tokens: Tensor | None) -> None:
        """Add one batch's activations."""
        active = activations > 0
        if self._real is not None:
            real = self._real if tokens is None else self._real[tokens]
            if len(real) != len(active):
                raise ModelError(f"{self.layout.sites[number].mlp} sees other tokens than the batch's; use packed text")
            active &= real[:, None]
        # Sums of ones in float32 are exact up to 2^24 rows, and several times as fast as integer ones.
        counts = active.new_ones(1, len(active), dtype=torch.float32) @ active.float()
        self._sums[number][expert] += counts[0].long()

    def take(self) -> np.ndarray:
        """The sums so far, int64 ``[neurons]``; the next ones begin at 0."""
        sums = torch.cat([each.flatten() for each in self._sums]).cpu().numpy()
        self.clear()
        return sums
