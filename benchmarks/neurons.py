"""Counting activations beside a bare forward pass over the same tokens.

    python benchmarks/neurons.py                                  # 3 M parameters, seconds
    python benchmarks/neurons.py --size 100m --tokens 16384

The two run in turn. The ratio is the median over the pairs; the target is at most 1.3.
"""

from __future__ import annotations

import argparse

import torch

from codingspot.views.neurons.counting import count_activations
from codingspot.views.neurons.sites import find_sites
from paired import SIZES, in_turn, random_model


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="3m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()

    device = torch.device(options.device)
    model = random_model(options.size, device)
    layout = find_sites(model)
    ids = torch.randint(model.config.vocab_size, (options.tokens // options.sequence_length, options.sequence_length))
    rows = max(1, options.batch_tokens // options.sequence_length)

    @torch.no_grad()
    def bare() -> None:
        for batch in ids.split(rows):
            model.base_model(input_ids=batch.to(device), use_cache=False)

    def ours() -> None:
        count_activations(model, layout, "random", ids, batch_tokens=options.batch_tokens)

    pairs = in_turn(bare, ours, options.pairs, device)
    print(f"{layout.total:,} neurons, {device}, {torch.get_num_threads()} threads, {ids.numel()} tokens")
    print(f"bare forward: {ids.numel() / pairs.bare_seconds:,.0f} tokens a second")
    print(f"counting / bare: {pairs}")


if __name__ == "__main__":
    main()
