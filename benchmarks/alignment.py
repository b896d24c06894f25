"""Embedding texts in every layer beside a bare forward pass over the same padded batches.

    python benchmarks/alignment.py                                # 3 M parameters, seconds
    python benchmarks/alignment.py --hidden 640 --layers 12 --texts 500

The two run in turn. The ratio is the median over the pairs; the target is at most 1.3.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.alignment.embeddings import TokenisedText, embed
from codingspot.evaluation.batching import token_batches


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
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--batch-tokens", type=int, default=4096)
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
    draw = random.Random(0)
    texts = []
    for _ in range(options.texts):
        length = draw.randint(5, 120)
        texts.append(TokenisedText(tuple(draw.randrange(2048) for _ in range(length)), 0, length))
    batches = token_batches([len(text.tokens) for text in texts], options.batch_tokens)
    padded = [
        torch.zeros(len(b), max(len(texts[i].tokens) for i in b), dtype=torch.int64, device=device) for b in batches
    ]

    @torch.no_grad()
    def bare() -> None:
        for batch in padded:
            model.base_model(input_ids=batch, use_cache=False)

    def ours() -> None:
        embed(model, texts, io.BytesIO(), batch_tokens=options.batch_tokens)

    bare()
    ratios, bare_seconds = [], []
    for pair in range(options.pairs):
        order = (bare, ours) if pair % 2 == 0 else (ours, bare)
        seconds = {function: timed(function, device) for function in order}
        ratios.append(seconds[ours] / seconds[bare])
        bare_seconds.append(seconds[bare])
    tokens = sum(len(text.tokens) for text in texts)
    print(f"{len(texts)} texts, {tokens:,} tokens, {device}, {torch.get_num_threads()} threads")
    print(f"bare forward: {tokens / statistics.median(bare_seconds):,.0f} tokens a second")
    print(f"embedding / bare: {statistics.median(ratios):.3f} (median; {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
