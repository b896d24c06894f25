from math import comb

import pytest
import torch

from codingspot.errors import SelectionError
from codingspot.models import ParameterLayout
from codingspot.spot import Spot, overlap, overlap_by_tensor
from codingspot.spot.overlap import chance_jaccard

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


def test_the_quantile_of_chance_is_the_least_overlap_with_that_much_below_it() -> None:
    n, m, population = 6, 4, 20
    weights = [comb(n, shared) * comb(population - n, m - shared) / comb(population, m) for shared in range(m + 1)]
    least = next(shared for shared in range(m + 1) if sum(weights[: shared + 1]) >= 0.95)
    assert chance_jaccard(n, m, population) == least / (n + m - least)


def test_overlap_inside_each_tensor() -> None:
    layout = ParameterLayout(("a", "b", "c"), ((10,), (5,), (5,)))

    def spot(positions: list[int]) -> Spot:
        return Spot(torch.tensor(positions), torch.zeros(len(positions)), layout)

    first, second = overlap_by_tensor(spot([0, 1, 2, 10]), spot([2, 3, 1])).to_dict("records")
    assert (first["tensor"], first["first_selected"], first["second_selected"], first["common"]) == ("a", 3, 3, 2)
    assert (first["jaccard"], first["expected"]) == (0.5, 0.9)
    # At least two of three are shared: C(3,2) C(7,1) + 1 of the C(10,3) ways.
    assert first["p_value"] == pytest.approx((3 * 7 + 1) / comb(10, 3))
    assert (second["tensor"], second["common"], second["jaccard"], second["p_value"]) == ("b", 0, 0.0, 1.0)
