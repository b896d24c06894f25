"""What ranking a model costs: seconds, the text that was read, and how often it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from codingspot.files import digest

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel


_PROBE_TOKENS = 2


@dataclass
class Cost:
    """Seconds, and what was run forward.

    Attributes:
        seconds: on the clock.
        forwarded: tokens run forward, each as often as it was.
        sequences: the tokens of every sequence that was read, by its digest.
    """

    seconds: float = 0.0
    forwarded: int = 0
    sequences: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Of the text that was read, however often."""
        return sum(self.sequences.values())

    @property
    def passes(self) -> float:
        """How often the text was run forward, on average; 0 where none was."""
        return self.forwarded / self.tokens if self.tokens else 0.0

    def add(self, other: Cost) -> None:
        """Count what another took, too."""
        self.seconds += other.seconds
        self.forwarded += other.forwarded
        self.sequences |= other.sequences


@contextmanager
def measured(model: PreTrainedModel) -> Iterator[Cost]:
    """The cost of what runs inside the block, complete at its end. A token or two, as probes are, are no text."""
    cost = Cost()

    def see(_module: nn.Module, _arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        ids: Tensor | None = keywords.get("input_ids")
        if ids is not None and ids.numel() > _PROBE_TOKENS:
            cost.forwarded += ids.numel()
            cost.sequences |= {digest(row.numpy().tobytes()): len(row) for row in ids.cpu()}

    handle = model.base_model.register_forward_pre_hook(see, with_kwargs=True)
    started = time.perf_counter()
    try:
        yield cost
    finally:
        handle.remove()
        cost.seconds = time.perf_counter() - started
