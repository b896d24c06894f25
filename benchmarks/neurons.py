"""Counting activations beside a bare forward pass over the same tokens.

    python benchmarks/neurons.py                                  # 3 M parameters, seconds
    python benchmarks/neurons.py --hidden 640 --layers 12 --tokens 16384

The two run in turn. The ratio is the median over the pairs; the target is at most 1.3.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.neurons import count_activations, find_sites


def timed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds that one call takes, the device's work included."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=224)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()

    device = torch.device(options.device)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=options.hidden,
        intermediate_size=8 * options.hidden // 3,
        num_hidden_layers=options.layers,
        num_attention_heads=8,
    )
    model: Any = LlamaForCausalLM(config).to(device).eval()
    layout = find_sites(model)
    ids = torch.randint(0, 2048, (options.tokens // options.sequence_length, options.sequence_length))
    rows = max(1, options.batch_tokens // options.sequence_length)

    @torch.no_grad()
    def bare() -> None:
        for batch in ids.split(rows):
            model.base_model(input_ids=batch.to(device), use_cache=False)

    def ours() -> None:
        count_activations(model, layout, "random", ids, batch_tokens=options.batch_tokens)

    bare()
    ratios, bare_seconds = [], []
    for pair in range(options.pairs):
        order = (bare, ours) if pair % 2 == 0 else (ours, bare)
        seconds = {function: timed(function, device) for function in order}
        ratios.append(seconds[ours] / seconds[bare])
        bare_seconds.append(seconds[bare])
    print(f"{layout.total:,} neurons, {device}, {torch.get_num_threads()} threads, {ids.numel()} tokens")
    print(f"bare forward: {ids.numel() / statistics.median(bare_seconds):,.0f} tokens a second")
    print(f"counting / bare: {statistics.median(ratios):.3f} (median; {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
