"""Random texts for the tests of units."""

import torch

from codingspot.corpus import PackedTokens


def packed(domain: str, low: int, high: int, seed: int, sequences: int = 6) -> PackedTokens:
    ids = torch.randint(low, high, (sequences, 10), generator=torch.Generator().manual_seed(seed))
    return PackedTokens(domain, ids, documents=sequences, duplicates=0)
