from math import comb

import pytest
import torch

from codingspot.errors import SelectionError
from codingspot.models import ParameterLayout
from codingspot.spot import Spot, overlap

LAYOUT = ParameterLayout(("a",), ((20,),))


def _spot(positions: list[int], **metadata) -> Spot:
    return Spot(torch.tensor(positions), torch.zeros(len(positions)), LAYOUT, metadata)


def test_overlap_by_hand() -> None:
    table = overlap({"one": _spot([3, 1, 5, 9]), "two": _spot([1, 3, 7, 5])}, [10, 20])
    first, second = table.to_dict("records")
    assert (first["first"], first["second"], first["k_percent"], first["parameters"]) == ("one", "two", 10, 2)
    assert (first["common"], first["jaccard"], first["expected"]) == (2, 1.0, 0.2)
    assert first["expected_jaccard"] == pytest.approx(0.2 / 3.8)
    assert first["p_value"] == pytest.approx(1 / comb(20, 2))
    assert (second["common"], second["jaccard"]) == (3, 3 / 5)
    assert second["p_value"] == pytest.approx((4 * 16 + 1) / comb(20, 4))


def test_chance_is_counted_in_the_scope_both_share() -> None:
    blocks = {"scope": "blocks", "scope_parameters": 10}
    one, two, wide = _spot([0, 1], **blocks), _spot([1, 2], **blocks), _spot([1, 2], scope="all", scope_parameters=20)
    assert overlap({"one": one, "two": two}, [10])["expected"].tolist() == [0.4]
    assert overlap({"one": one, "wide": wide}, [10])["expected"].tolist() == [0.2]


def test_every_pair_is_compared_and_models_must_agree() -> None:
    table = overlap({name: _spot([0, 1]) for name in "abc"}, [5, 10])
    assert table[["first", "second"]].drop_duplicates().values.tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    other = Spot(torch.tensor([0]), torch.zeros(1), ParameterLayout(("a",), ((21,),)))
    with pytest.raises(SelectionError, match="different models"):
        overlap({"one": _spot([0]), "other": other}, [1])
