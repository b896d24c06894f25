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

import torch
import torch.nn.functional as F

from codingspot.corpus import PackedTokens
from codingspot.importance import ESTIMATORS, DomainInput
from codingspot.models import load_model, unique_parameters
from paired import SIZES, in_turn, random_model


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="3m")
    parser.add_argument("--model", help="a folder with a real model, instead of a random one of --size")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--reduction", choices=["corpus", "microbatch"], default="corpus")
    options = parser.parse_args()

    device = torch.device(options.device)
    if options.model is None:
        model = random_model(options.size, device, options.dtype)
    else:
        model = load_model(options.model, dtype=options.dtype, device=device).model
    shape = (options.tokens // options.sequence_length, options.sequence_length)
    tokens = PackedTokens("random", torch.randint(0, model.config.vocab_size, shape), documents=1, duplicates=0)
    domain = DomainInput(model, tokens, unique_parameters(model), options.micro_batch_tokens)
    estimator = ESTIMATORS.bind("taylor", {"reduction": options.reduction})

    def bare() -> None:
        for batch in domain.micro_batches():
            ids = batch.to(device)
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
            loss = F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum")
            loss.backward()
            model.zero_grad(set_to_none=True)

    def ours() -> None:
        estimator(domain)

    pairs = in_turn(bare, ours, options.pairs, device)
    parameters = sum(weight.numel() for weight in domain.weights.values())
    where = f"{device}, {torch.get_num_threads()} threads"
    print(f"{parameters:,} parameters, {options.dtype}, {where}, {tokens.tokens} tokens, {options.pairs} pairs")
    print(f"bare forward and backward: {tokens.tokens / pairs.bare_seconds:,.0f} tokens a second")
    print(f"scoring / bare: {pairs}")
    if device.type == "cuda":
        print(f"peak memory on the GPU: {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
