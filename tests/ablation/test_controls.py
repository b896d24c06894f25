import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codingspot.ablation import binned_control, matched_control, uniform_control
from codingspot.ablation.drawing import draw
from codingspot.errors import SelectionError
from codingspot.evaluation.standing import stand
from codingspot.models import ParameterLayout, role_of
from codingspot.spot import Spot


def _tensors(spot: Spot) -> list[int]:
    return spot.layout.tensor_index(spot.positions).tolist()


@pytest.mark.parametrize("control", [uniform_control, matched_control])
def test_controls_are_as_long_disjoint_seeded_and_distinct(llama, make_spot, control) -> None:
    spot = make_spot(llama, 800)
    first, again, other = control(spot, seed=0), control(spot, seed=0), control(spot, seed=1)
    for drawn in (first, other):
        positions = drawn.positions.tolist()
        assert len(set(positions)) == 800
        assert set(positions).isdisjoint(spot.positions.tolist())
        assert drawn.positions.dtype == torch.int64
    assert torch.equal(first.positions, again.positions)
    assert not torch.equal(first.positions, other.positions)
    assert first.fingerprint == spot.fingerprint


def test_metadata_names_the_control(llama, make_spot) -> None:
    spot = make_spot(llama, 20)
    uniform, matched = uniform_control(spot, seed=3, scope="blocks"), matched_control(spot, seed=4)
    assert uniform.metadata["control"] == {"name": "uniform", "scope": "blocks", "seed": 3}
    assert matched.metadata["control"] == {"name": "matched", "seed": 4, "unmatched": 0}
    assert spot.metadata.get("control") is None


def test_every_prefix_is_matched_by_tensor(llama, make_spot) -> None:
    spot = make_spot(llama, 800)
    assert _tensors(matched_control(spot, seed=0)) == _tensors(spot)


def test_uniform_controls_stay_in_scope(llama, make_spot) -> None:
    spot = make_spot(llama, 200)
    drawn = uniform_control(spot, seed=0, scope="attention")
    assert {role_of(spot.layout.names[index]).block for index in _tensors(drawn)} == {"attention"}


def test_uniform_controls_are_uniform() -> None:
    layout = ParameterLayout(("a", "b"), ((30,), (70,)))
    spot = Spot(torch.arange(0, 100, 10), torch.zeros(10), layout)
    counts = np.zeros(100)
    first = np.zeros(100)
    for seed in range(3000):
        positions = uniform_control(spot, seed=seed).positions.numpy()
        counts[positions] += 1
        first[positions[0]] += 1
    free = np.setdiff1d(np.arange(100), spot.positions.numpy())
    assert counts[spot.positions.numpy()].sum() == 0
    # 3000 * 10 / 90 expected in each; five standard deviations are about 86.
    assert np.abs(counts[free] - 3000 / 9).max() < 86
    assert first[free].min() > 0


def test_a_tensor_without_room_gives_way_to_its_kind_then_to_any() -> None:
    names = ("model.layers.0.input_layernorm.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight")
    layout = ParameterLayout(names, ((4,), (100,), (2,)))
    # All 4 of the first norm: 2 others are of its kind, the rest must come from the MLP.
    spot = Spot(torch.tensor([2, 50, 0, 1, 3]), torch.zeros(5), layout)
    drawn = matched_control(spot, seed=0)
    assert drawn.metadata["control"]["unmatched"] == 4
    assert _tensors(drawn) == [2, 1, 2, 1, 1]
    assert len(set(drawn.positions.tolist())) == 5
    assert set(drawn.positions.tolist()).isdisjoint(spot.positions.tolist())

    half = Spot(torch.tensor([2, 50, 0, 1]), torch.zeros(4), layout)
    drawn = matched_control(half, seed=0)
    assert _tensors(drawn) == [0, 1, 2, 2]
    assert drawn.positions[0] == 3
    assert drawn.metadata["control"]["unmatched"] == 2


def test_a_spot_that_leaves_too_little_is_refused(llama, make_spot) -> None:
    layout = ParameterLayout(("a",), ((10,),))
    assert len(matched_control(Spot(torch.arange(5), torch.zeros(5), layout), seed=0)) == 5
    spot = Spot(torch.arange(6), torch.zeros(6), layout)
    with pytest.raises(SelectionError, match="6 of the model's 10 parameters"):
        matched_control(spot, seed=0)
    with pytest.raises(SelectionError, match="leaves 4 parameters outside the spot, fewer than its 6"):
        uniform_control(spot, seed=0)
    with pytest.raises(SelectionError, match="scope 'norms' leaves"):
        uniform_control(make_spot(llama, 300), seed=0, scope="norms")


intervals = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=200)
@given(gaps=intervals, n=st.integers(1, 60), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_draws_are_distinct_inside_and_spared(gaps, n, seed, share) -> None:
    spans, at = [], 0
    for gap, size in gaps:
        spans.append((at + gap, at + gap + size))
        at += gap + size
    inside = [position for start, stop in spans for position in range(start, stop)]
    taken = np.sort(np.random.default_rng(seed).permutation(at)[: round(share * at)])
    free = set(inside) - set(taken.tolist())
    drawn = draw(spans, n, taken, np.random.default_rng(seed)).tolist()
    assert len(drawn) == len(set(drawn)) == min(n, len(free))
    assert set(drawn) <= free


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 2000), seed=st.integers(0, 5))
def test_a_trillion_parameters_take_memory_for_the_spot_only(n: int, seed: int) -> None:
    layout = ParameterLayout(("a", "b"), ((10**12,), (10**12,)))
    spot = Spot(torch.arange(n) * 10**8 + 7, torch.zeros(n), layout)
    for control in (uniform_control, matched_control):
        drawn = control(spot, seed=seed).positions
        assert len(torch.unique(drawn)) == n


def _binned(spot: Spot, *, seed: int, apart: bool) -> Spot:
    return binned_control(spot, lambda _name: np.arange(40) // 20, by="half", bins=2, seed=seed, apart=apart)


@pytest.mark.parametrize("control", [matched_control, _binned])
def test_draws_for_a_test_are_such_that_the_spot_could_be_one_of_them(control) -> None:
    """The sum of a random spot's values is the largest of 20 in one case of 20, where draws may be the spot's own."""
    layout = ParameterLayout(("a",), ((40,),))
    values = np.random.default_rng(7).normal(size=40)
    outside = {True: 0, False: 0}
    for number in range(300):
        positions = np.random.default_rng(number).permutation(40)[:16]
        spot = Spot(torch.from_numpy(positions), torch.zeros(16), layout)
        for apart in outside:
            drawn = [control(spot, seed=100 * number + draw, apart=apart).positions.numpy() for draw in range(19)]
            assert {len(set(each)) for each in drawn} == {16}
            assert all(set(each).isdisjoint(positions) for each in drawn) is apart
            outside[apart] += stand([values[positions].sum()], [[values[each].sum()] for each in drawn]).outside
    assert outside[False] / 300 == pytest.approx(0.05, abs=0.03)
    assert outside[True] / 300 > 0.12


def test_a_control_that_is_not_drawn_apart_says_so(llama, make_spot) -> None:
    record = matched_control(make_spot(llama, 20), seed=4, apart=False).metadata["control"]
    assert record == {"name": "matched", "seed": 4, "unmatched": 0, "apart": False}
