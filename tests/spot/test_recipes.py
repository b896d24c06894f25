import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codingspot.errors import SelectionError, StudyError
from codingspot.spot import find_spot

TOTAL = 64


def _selected(store, n: int, **options) -> list[int]:
    return find_spot(store, max_k_percent=100 * n / TOTAL, **options).positions.tolist()


def _best(values, n: int) -> list[int]:
    return np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")[:n].tolist()


def test_sum_is_of_magnitudes(make_store, random_scores) -> None:
    go, rust = random_scores(0), random_scores(1)
    store = make_store(Go=go, Rust=rust, English=random_scores(2))
    spot = find_spot(store, max_k_percent=25)
    expected = _best(go.abs() + rust.abs(), 16)
    assert spot.positions.tolist() == expected
    torch.testing.assert_close(spot.scores, (go.abs() + rust.abs())[expected])


def test_languages_can_be_chosen(make_store, random_scores) -> None:
    store = make_store(Go=random_scores(0), Rust=random_scores(1))
    assert _selected(store, 9, languages=["Rust"]) == _best(random_scores(1).abs(), 9)
    assert find_spot(store, max_k_percent=5, languages=["Rust"]).metadata["languages"] == ["Rust"]


def test_aggregations_by_hand(make_store) -> None:
    values = {"A": [1.0] * TOTAL, "B": [2.0] * TOTAL, "C": [6.0] * TOTAL, "D": [-31.0] * TOTAL}
    store = make_store(**values, tokens={"A": 1, "B": 2, "C": 3, "D": 4})
    keys = {
        aggregation: float(find_spot(store, max_k_percent=1, **options).scores[0])
        for aggregation, options in {
            "sum": {},
            "token-weighted": {"aggregation": "token-weighted"},
            "median": {"aggregation": "median"},
            "trimmed": {"aggregation": "trimmed-mean", "trim": 0.25},
            "untrimmed": {"aggregation": "trimmed-mean", "trim": 0.2},
        }.items()
    }
    assert keys == pytest.approx(
        {"sum": 40, "token-weighted": (1 + 4 + 18 + 124) / 10, "median": 4, "trimmed": 4, "untrimmed": 10}
    )
    three = make_store("three", A=values["A"], B=values["B"], D=values["D"])
    assert find_spot(three, max_k_percent=1, aggregation="median").scores.tolist() == [2]
    with pytest.raises(StudyError, match=r"trim is 0\.5"):
        find_spot(store, max_k_percent=1, aggregation="trimmed-mean", trim=0.5)


def test_normalisation_within_a_language_changes_the_sum(make_store, random_scores) -> None:
    loud, soft = 1000 * random_scores(0), random_scores(1)
    store = make_store(Loud=loud, Soft=soft, tokens={"Loud": 1, "Soft": 1_000_000})
    assert _selected(store, 5) == _best(1000 * random_scores(0).abs() + soft.abs(), 5)
    assert _selected(store.with_normalisation("none"), 5) == _best(loud.abs() + 1e6 * soft.abs(), 5)
    standard = [(x.abs() - x.abs().mean()) / x.abs().std(correction=0) for x in (loud, soft)]
    assert _selected(store.with_normalisation("zscore"), 20) == _best(standard[0] + standard[1], 20)


def test_set_difference_by_hand(make_store) -> None:
    code = [float(TOTAL - position) for position in range(TOTAL)]
    english = [float(position % 8) for position in range(TOTAL)]
    store = make_store(Go=code, English=english)
    # The top 25% of English are the 16 positions whose remainder by 8 is 7 or 6.
    kept = [position for position in range(TOTAL) if position % 8 < 6]
    assert _selected(store, 20, recipe="set_difference", general_percent=25) == kept[:20]
    # 20% of 64 are 13: all 8 of remainder 7, and the first 5 of the 8 of remainder 6.
    dropped = {position for position in range(TOTAL) if position % 8 == 7} | {6, 14, 22, 30, 38}
    assert _selected(store, 51, recipe="set_difference") == [p for p in range(TOTAL) if p not in dropped]
    with pytest.raises(SelectionError, match="51 parameters are eligible, fewer than the 52"):
        _selected(store, 52, recipe="set_difference")
    assert _selected(store, 30, recipe="set_difference", general_percent=0) == list(range(30))


def test_set_difference_drops_a_share_of_the_scope(make_store) -> None:
    # English needs the embedding most: outside the blocks, it uses up nothing of what is dropped inside them.
    # The blocks are positions 28 to 59.
    store = make_store(Go=[1.0] * TOTAL, English=[100.0] * 24 + [float(position) for position in range(24, TOTAL)])
    options = {"recipe": "set_difference", "general_percent": 50}
    assert _selected(store, 16, scope="blocks", **options) == list(range(28, 44))
    assert _selected(store, 32, **options) == list(range(24, 56))


def test_a_recipe_per_tensor_is_applied_inside_each(make_store) -> None:
    english = [float(position % 4) for position in range(TOTAL)]
    store = make_store(Go=[float(position) for position in range(TOTAL)], English=english)
    # In each tensor the quarter with remainder 3 is dropped; the best of the rest are the last.
    found = _selected(store, 16, recipe="set_difference", general_percent=25, per_tensor=True)
    expected = [10, 9, 8, 22, 21, 20, 26, 42, 41, 40, 38, 58, 57, 56, 54, 62]
    assert sorted(found) == sorted(expected)
    consensus = _selected(
        make_store("two", A=list(range(TOTAL)), B=list(range(TOTAL))), 16, recipe="consensus", per_tensor=True
    )
    assert sorted(consensus) == [9, 10, 11, 21, 22, 23, 27, 40, 41, 42, 43, 56, 57, 58, 59, 63]


def test_set_difference_needs_general_text_and_a_percentage(make_store, random_scores) -> None:
    with pytest.raises(SelectionError, match="needs a general domain"):
        _selected(make_store("code", Go=random_scores(0)), 3, recipe="set_difference")
    store = make_store(Go=random_scores(0), English=random_scores(1))
    for percent in (-1, 100):
        with pytest.raises(StudyError, match=f"general_percent is {percent}"):
            _selected(store, 3, recipe="set_difference", general_percent=percent)


def _consensus(languages: list[np.ndarray], needed: int, n: int) -> list[int]:
    magnitudes = np.abs(np.stack(languages)).astype(np.float32)
    ranks = (magnitudes[:, None, :] > magnitudes[:, :, None]).sum(axis=2)
    return _best(-np.sort(ranks, axis=0)[needed - 1], n)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 10**6), levels=st.sampled_from([3, 20, 10**6]))
def test_consensus_is_the_order_of_the_mth_best_rank(make_store, data, seed, levels) -> None:
    generator = np.random.default_rng(seed)
    languages = [generator.integers(-levels, levels, TOTAL).astype(np.float32) for _ in range(3)]
    store = make_store(**dict(zip("ABC", languages, strict=True)))
    needed = data.draw(st.integers(1, 3))
    n = data.draw(st.integers(1, TOTAL))
    assert _selected(store, n, recipe="consensus", at_least=needed) == _consensus(languages, needed, n)


def test_consensus_is_of_all_languages_unless_told(make_store, random_scores) -> None:
    store = make_store(A=random_scores(0), B=random_scores(1))
    expected = _consensus([random_scores(0).numpy(), random_scores(1).numpy()], 2, 10)
    assert _selected(store, 10, recipe="consensus") == expected
    for needed in (0, 3):
        with pytest.raises(SelectionError, match=f"at_least is {needed}; it must be between 1 and 2"):
            _selected(store, 3, recipe="consensus", at_least=needed)


@pytest.mark.parametrize("recipe", ["sum", "set_difference", "consensus"])
@pytest.mark.parametrize("scope", ["all", "blocks"])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_a_smaller_k_is_a_prefix(make_store, random_scores, recipe, scope, per_tensor) -> None:
    store = make_store(A=random_scores(0), B=random_scores(1), English=random_scores(2))
    options = {"recipe": recipe, "scope": scope, "per_tensor": per_tensor}
    largest = _selected(store, 20, **options)
    assert len(set(largest)) == 20
    for n in (1, 7, 19):
        assert _selected(store, n, **options) == largest[:n]


def test_unknown_recipe_parameter_and_scope_are_refused(make_store, random_scores) -> None:
    store = make_store(A=random_scores(0))
    with pytest.raises(StudyError, match="unknown recipe 'total'; use one of sum, consensus, set_difference"):
        _selected(store, 3, recipe="total")
    with pytest.raises(StudyError, match="recipe 'sum' has no parameter 'general_percent'"):
        _selected(store, 3, general_percent=20)
    with pytest.raises(StudyError, match="unknown scope"):
        _selected(store, 3, scope="head")
