"""Ranks of keys, by hand and streamed beside exact ones."""

import numpy as np
import pytest
import torch

from codingspot.errors import NonFiniteError
from codingspot.spot.ranks import RankTable, shared_ranks
from codingspot.spot.selection import KeyChunk


def table(keys: torch.Tensor, divisions: int = 1 << 21, parts: int = 1, eligible=None) -> RankTable:
    cuts = torch.arange(len(keys)).chunk(parts)
    mask = torch.ones(len(keys), dtype=torch.bool) if eligible is None else eligible
    return RankTable(lambda: [KeyChunk("w", int(cut[0]), keys[cut], mask[cut]) for cut in cuts], divisions)


def test_ranks_by_hand() -> None:
    keys = torch.tensor([3.0, -1.0, 0.0, -0.0, 2.0, -torch.inf])
    assert table(keys).ranks(keys).tolist() == pytest.approx([1, 0.2, 0.5, 0.5, 0.8, 0])
    few = torch.tensor([True, True, False, False, True, False])
    assert table(keys, eligible=few).ranks(keys[few]).tolist() == pytest.approx([1, 0, 0.5])
    one = torch.tensor([4.0])
    assert table(one).ranks(one).tolist() == shared_ranks(one).tolist() == [0]


def test_streamed_ranks_are_exact_but_for_what_shares_a_bin_and_as_any_parts_have_them() -> None:
    keys = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).abs().log()
    keys[::3] = -0.25  # a third is tied
    exact, found = shared_ranks(keys).numpy(), table(keys, parts=7).ranks(keys)
    assert np.array_equal(found, table(keys).ranks(keys))
    assert np.abs(found - exact).max() < 2 / len(keys)
    assert len(np.unique(found[::3])) == 1
    coarse = table(keys, divisions=0).ranks(keys)
    assert np.abs(coarse - exact).max() > 10 / len(keys)
    assert (np.diff(found[keys.argsort(stable=True).numpy()]) >= 0).all()


def test_a_key_that_is_no_number_is_refused() -> None:
    with pytest.raises(NonFiniteError, match="the scores of w hold NaN"):
        table(torch.tensor([1.0, torch.nan]))
