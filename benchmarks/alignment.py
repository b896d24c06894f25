"""Embedding texts in every layer beside a bare forward pass over the same padded batches.

    python benchmarks/alignment.py                                # 3 M parameters, seconds
    python benchmarks/alignment.py --size 100m --texts 500

The two run in turn. The ratio is the median over the pairs; the target is at most 1.3.
"""

from __future__ import annotations

import argparse
import io
import random

import torch

from codingspot.evaluation.batching import token_batches
from codingspot.views.mexa.embeddings import TokenisedText, embed
from paired import SIZES, in_turn, random_model


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="3m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()

    device = torch.device(options.device)
    model = random_model(options.size, device)
    draw = random.Random(0)
    texts = []
    for _ in range(options.texts):
        length = draw.randint(5, 120)
        texts.append(TokenisedText(tuple(draw.randrange(model.config.vocab_size) for _ in range(length)), 0, length))
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

    pairs = in_turn(bare, ours, options.pairs, device)
    tokens = sum(len(text.tokens) for text in texts)
    print(f"{len(texts)} texts, {tokens:,} tokens, {device}, {torch.get_num_threads()} threads")
    print(f"bare forward: {tokens / pairs.bare_seconds:,.0f} tokens a second")
    print(f"embedding / bare: {pairs}")


if __name__ == "__main__":
    main()
