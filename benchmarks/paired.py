"""What the benchmarks of a ratio share: random models by size, and two functions timed in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SIZES = {
    "3m": LlamaConfig(
        vocab_size=2048, hidden_size=224, intermediate_size=600, num_hidden_layers=4, num_attention_heads=8
    ),
    "27m": LlamaConfig(
        vocab_size=8192, hidden_size=448, intermediate_size=1200, num_hidden_layers=8, num_attention_heads=8
    ),
    "100m": LlamaConfig(
        vocab_size=32000, hidden_size=640, intermediate_size=1728, num_hidden_layers=12, num_attention_heads=10
    ),
    "1b": LlamaConfig(
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=True,
    ),
}


@dataclass(frozen=True)
class Pairs:
    """Seconds of each run of the bare function, and what ours took as a multiple of it, pair by pair."""

    bare: list[float]
    ratios: list[float]

    @property
    def bare_seconds(self) -> float:
        """Median seconds of the bare function."""
        return statistics.median(self.bare)

    def __str__(self) -> str:
        return f"{statistics.median(self.ratios):.3f} (median; {min(self.ratios):.3f} to {max(self.ratios):.3f})"


def random_model(size: str, device: torch.device, dtype: str = "float32") -> Any:
    """A random Llama of a size, in evaluation mode; the same every time."""
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, dtype))
    model: Any = LlamaForCausalLM(SIZES[size])
    torch.set_default_dtype(torch.float32)
    return model.to(device).eval()


def in_turn(bare: Callable[[], object], ours: Callable[[], object], pairs: int, device: torch.device) -> Pairs:
    """Time the two in turn, each first in every other pair, after one run of the bare one that isn't counted."""
    bare()
    found = Pairs([], [])
    for pair in range(pairs):
        order = (bare, ours) if pair % 2 == 0 else (ours, bare)
        seconds = {function: timed(function, device) for function in order}
        found.bare.append(seconds[bare])
        found.ratios.append(seconds[ours] / seconds[bare])
    return found


def timed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds that one call takes, the device's work included."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
