import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, entropy

from codingspot.errors import SelectionError
from codingspot.spot import Asked, Spot, measure_shares, polysemanticity, shares_by_domain
from codingspot.spot.polysemanticity import domain_shares, median_ranks, normalised_entropy

K = 100 / 64


def _spot(store, positions: list[int]) -> Spot:
    return Spot(torch.tensor(positions), torch.zeros(len(positions)), store.layout)


@pytest.fixture
def store(make_store):
    go, rust, english = torch.zeros(64), torch.zeros(64), torch.zeros(64)
    go[3], rust[3], english[3] = -2.0, 2.0, 2.0  # shared by all alike
    go[40] = 5.0  # Go's alone
    go[41], english[41] = 3.0, -1.0
    return make_store(Go=go, Rust=rust, English=english)  # position 50 matters to none


def test_shares_by_hand_in_the_order_asked_for(store) -> None:
    shares, other = domain_shares(store, [torch.tensor([41, 3, 50, 40]), torch.tensor([3])])
    np.testing.assert_allclose(other, [[1 / 3] * 3])
    np.testing.assert_allclose(shares[0], [0.75, 0, 0.25])
    np.testing.assert_allclose(shares[1], [1 / 3] * 3)
    assert np.isnan(shares[2]).all()
    np.testing.assert_allclose(shares[3], [1, 0, 0])
    expected = [entropy([0.75, 0.25], base=3), 1.0, np.nan, 0.0]
    np.testing.assert_allclose(normalised_entropy(shares), expected, atol=1e-12)


def test_quantiles_of_every_dose_and_control(store) -> None:
    doses = (K, 3 * K)
    asked = [Asked(_spot(store, [40, 3, 50]), doses), Asked(_spot(store, [3, 3, 41]), doses, seed=7)]
    shares = measure_shares(store, asked)
    table = polysemanticity(shares)
    spot = table[table["group"] == "spot"].set_index("k_percent")
    assert spot.loc[K, "q50"] == 0
    assert spot.loc[3 * K, "q50"] == pytest.approx(0.5)
    assert spot.loc[3 * K, ["parameters", "undefined"]].tolist() == [3, 1]
    random = table[table["group"] == "random"]
    assert random["seed"].tolist() == [7, 7]
    assert random["q50"].tolist() == pytest.approx([1.0, 1.0])
    means = shares_by_domain(shares)
    means = means[means["k_percent"] == 3 * K].set_index(["group", "domain"])["share"]
    assert means["spot", "Go"] == pytest.approx((1 + 1 / 3) / 2)  # the one without a score is left out
    assert means["random", "English"] == pytest.approx((2 / 3 + 0.25) / 3)


def test_a_spot_without_any_score_has_no_entropy(store) -> None:
    shares = measure_shares(store, [Asked(_spot(store, [50]), (K,))])
    assert np.isnan(polysemanticity(shares).loc[0, "q50"])
    assert shares_by_domain(shares)["share"].isna().all()


def test_of_a_large_dose_a_drawn_part_is_measured(store) -> None:
    asked = [Asked(_spot(store, [40, 3, 41]), (K, 3 * K))]
    table = polysemanticity(measure_shares(store, asked, most=2))
    assert table["parameters"].tolist() == [1, 2]


def test_one_domain_has_no_shares(make_store) -> None:
    with pytest.raises(SelectionError, match="two domains"):
        domain_shares(make_store(Go=torch.ones(64)), [torch.tensor([0])])


@given(st.integers(1, 400))
def test_the_median_s_ranks_hold_at_least_95_percent(n: int) -> None:
    low, high = median_ranks(n)
    assert 0 <= low <= (n - 1) / 2 <= high < n
    # The median is below the low-th value when at most `low` of the values are below it.
    missed = 2 * binom.cdf(low, n, 0.5)
    assert low == 0 or missed <= 0.05
