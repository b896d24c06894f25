"""Scoring beside a bare forward and backward pass over the same batches.

    python benchmarks/scoring.py                               # 3 M parameters, seconds
    python benchmarks/scoring.py --size 100m --tokens 8192     # minutes on two cores
    python benchmarks/scoring.py --size 1b --dtype bfloat16 --tokens 4096 --pairs 1

The two run in turn. The ratio is the median over the pairs; the target is at most 1.05. The bare pass keeps no sum of
gradients: it drops them after every micro-batch.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.corpus import PackedTokens
from codingspot.importance import ESTIMATORS, DomainInput
from codingspot.importance.accumulation import summed_loss
from codingspot.models import unique_parameters

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
    parser.add_argument("--size", choices=SIZES, default="3m")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--reduction", choices=["corpus", "microbatch"], default="corpus")
    options = parser.parse_args()

    device = torch.device(options.device)
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, options.dtype))
    model: Any = LlamaForCausalLM(SIZES[options.size])
    torch.set_default_dtype(torch.float32)
    model.to(device).eval()
    shape = (options.tokens // options.sequence_length, options.sequence_length)
    tokens = PackedTokens("random", torch.randint(0, model.config.vocab_size, shape), documents=1, duplicates=0)
    domain = DomainInput(model, tokens, unique_parameters(model), options.micro_batch_tokens)
    estimator = ESTIMATORS.bind("taylor", {"reduction": options.reduction})

    def bare() -> None:
        for batch in domain.micro_batches():
            summed_loss(model, batch.to(device)).backward()  # type: ignore[no-untyped-call]
            model.zero_grad(set_to_none=True)

    def ours() -> None:
        estimator(domain)

    bare()
    ratios, bare_seconds = [], []
    for pair in range(options.pairs):
        order = (bare, ours) if pair % 2 == 0 else (ours, bare)
        seconds = {function: timed(function, device) for function in order}
        ratios.append(seconds[ours] / seconds[bare])
        bare_seconds.append(seconds[bare])
    parameters = sum(weight.numel() for weight in domain.weights.values())
    where = f"{device}, {torch.get_num_threads()} threads"
    print(f"{parameters:,} parameters, {options.dtype}, {where}, {tokens.tokens} tokens, {options.pairs} pairs")
    print(f"bare forward and backward: {tokens.tokens / statistics.median(bare_seconds):,.0f} tokens a second")
    print(f"scoring / bare: {statistics.median(ratios):.3f} (median; {min(ratios):.3f} to {max(ratios):.3f})")
    if device.type == "cuda":
        print(f"peak memory on the GPU: {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
