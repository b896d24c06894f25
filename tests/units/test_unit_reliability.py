"""What draws of text select, beside spots found in each draw's text alone."""

from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest
from scipy.stats import hypergeom

from codingspot.corpus import PackedTokens
from codingspot.spot import TrainingInput, measure_spot
from codingspot.units import unit_reliability


def of_sequences(given: TrainingInput, low: int, high: int) -> TrainingInput:
    def cut(texts: dict[str, PackedTokens]) -> dict[str, PackedTokens]:
        return {name: replace(text, input_ids=text.input_ids[low:high]) for name, text in texts.items()}

    return replace(given, code=cut(given.code), general=cut(given.general), draws=1, measured={})


def numbers(drawn: pd.DataFrame, split: str, draw: int) -> list[int]:
    return drawn[(drawn["split"] == split) & (drawn["draw"] == draw)].sort_values("rank")["number"].tolist()


@pytest.mark.parametrize(
    "parameters", [{}, {"score": "pls", "unit": "head", "contrast": "difference"}, {"contrast": "none"}]
)
def test_each_draw_and_half_selects_what_its_text_alone_does(make_given, parameters) -> None:
    given = make_given(k=20.0, draws=4)  # of 6 sequences: 1, 2, 1 and 2
    drawn = measure_spot(given, recipe="units", **parameters).drawn
    assert drawn is not None
    bounds = {("draws", 0): (0, 1), ("draws", 1): (1, 3), ("draws", 2): (3, 4), ("draws", 3): (4, 6)}
    bounds |= {("halves", 0): (0, 3), ("halves", 1): (3, 6)}
    assert set(zip(drawn["split"], drawn["draw"], strict=True)) == set(bounds)
    for (split, draw), (low, high) in bounds.items():
        alone = measure_spot(of_sequences(given, low, high), recipe="units", **parameters).spot.units
        assert alone is not None
        assert numbers(drawn, split, draw) == alone.numbers.tolist()


def test_agreement_by_hand_at_every_dose_and_pair(make_given) -> None:
    given = make_given(k=20.0, draws=3)
    found = measure_spot(given, recipe="units")
    assert found.drawn is not None
    table = unit_reliability(found.spot, found.drawn, [10.0, 20.0])
    assert found.spot.units is not None
    size, eligible = int(found.spot.units.sizes[0]), found.spot.metadata["units"]["eligible"]
    assert set(table["unit"]) == {"neuron"}
    assert table.groupby("split").size().to_dict() == {"draws": 6, "halves": 2}  # three pairs, and one
    for k in (10.0, 20.0):
        n = found.spot.count(k) // size
        rows = table[(table["split"] == "draws") & (table["k_percent"] == k)].set_index(["first", "second"])
        for pair in combinations(range(3), 2):
            one, other = (set(numbers(found.drawn, "draws", draw)[:n]) for draw in pair)
            row = rows.loc[pair]
            assert (row["units"], row["other_units"], row["common"]) == (n, n, len(one & other))
            assert row["jaccard"] == pytest.approx(len(one & other) / len(one | other))
            chance = n * n / eligible
            assert row["expected_jaccard"] == pytest.approx(chance / (2 * n - chance))
            assert row["p_value"] == pytest.approx(hypergeom.sf(len(one & other) - 1, eligible, n, n))


def test_no_draws_where_an_order_takes_more_passes_or_nothing_is_read(make_given) -> None:
    for parameters in ({"rounds": 2}, {"refined": 2, "refined_tokens": 10}, {"score": "weights"}):
        assert measure_spot(make_given(draws=2), recipe="units", **parameters).drawn is None
    assert measure_spot(make_given(draws=1), recipe="units").drawn is None


def test_there_are_no_more_draws_than_sequences(make_given) -> None:
    drawn = measure_spot(make_given(draws=4), recipe="units", token_budget=20).drawn
    assert drawn is not None
    assert set(drawn["draw"]) == {0, 1}


def test_draws_do_not_change_the_spot(make_given) -> None:
    one, several = (measure_spot(make_given(draws=draws), recipe="units").spot for draws in (1, 3))
    assert one.positions.tolist() == several.positions.tolist()
