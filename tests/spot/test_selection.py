import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codingspot.errors import NonFiniteError, SelectionError
from codingspot.spot.selection import KeyChunk, KeySource, count_for, find_cut, select_per_tensor, select_top

INFINITY = float("inf")


def _source(keys: np.ndarray, eligible: np.ndarray | None = None, chunk: int = 1 << 20) -> KeySource:
    def run_pass():
        for start in range(0, len(keys), chunk):
            part = slice(start, start + chunk)
            mask = None if eligible is None else torch.from_numpy(eligible[part])
            yield KeyChunk(f"tensor-{start}", start, torch.from_numpy(keys[part]), mask)

    return run_pass


def _by_sorting(keys: np.ndarray, n: int, eligible: np.ndarray | None = None) -> list[int]:
    order = np.argsort(-keys.astype(np.float64), kind="stable")
    if eligible is not None:
        order = order[eligible[order]]
    return order[:n].tolist()


floats = st.one_of(
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, 1e-45, -1e-45, 1.0000001, 3.4e38, -3.4e38]),
)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), values=st.lists(floats, min_size=1, max_size=60), chunk=st.integers(1, 70))
def test_selection_is_that_of_a_stable_sort(data, values, chunk) -> None:
    keys = np.array(values, dtype=np.float32)
    n = data.draw(st.integers(1, len(keys)))
    found = select_top(_source(keys, chunk=chunk), n)
    expected = _by_sorting(keys, n)
    assert found.positions.tolist() == expected
    assert found.keys.tolist() == keys[expected].tolist()


@settings(deadline=None, max_examples=200)
@given(data=st.data(), values=st.lists(st.tuples(floats, st.booleans()), min_size=1), chunk=st.integers(1, 40))
def test_only_eligible_keys_are_selected(data, values, chunk) -> None:
    keys = np.array([key for key, _ in values], dtype=np.float32)
    eligible = np.array([flag for _, flag in values])
    source = _source(keys, eligible, chunk)
    n = data.draw(st.integers(1, len(keys)))
    if n > eligible.sum():
        with pytest.raises(SelectionError, match=f"{eligible.sum()} parameters are eligible, fewer than the {n}"):
            select_top(source, n)
    else:
        assert select_top(source, n).positions.tolist() == _by_sorting(keys, n, eligible)


@pytest.mark.parametrize("n", [1, 2, 1000, 299_999, 300_000])
@pytest.mark.parametrize("case", ["normal", "heavy-tailed", "one value", "few values", "one bin"])
def test_many_keys_in_many_chunks(case: str, n: int) -> None:
    generator = np.random.default_rng(0)
    keys = {
        "normal": lambda: generator.standard_normal(300_000),
        "heavy-tailed": lambda: generator.standard_cauchy(300_000) * 1e-20,
        "one value": lambda: np.full(300_000, -2.5),
        "few values": lambda: generator.integers(-2, 3, 300_000),
        "one bin": lambda: 1 + generator.random(300_000) * 1e-3,
    }[case]().astype(np.float32)
    found = select_top(_source(keys, chunk=270_001), n)
    assert found.positions.tolist() == _by_sorting(keys, n)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), values=st.lists(floats, min_size=2, max_size=40))
def test_fewer_are_a_prefix(data, values) -> None:
    source = _source(np.array(values, dtype=np.float32), chunk=7)
    n = data.draw(st.integers(1, len(values)))
    m = data.draw(st.integers(1, n))
    assert select_top(source, n).positions[:m].tolist() == select_top(source, m).positions.tolist()


@settings(deadline=None, max_examples=100)
@given(data=st.data(), values=st.lists(floats, min_size=1, max_size=40), chunk=st.integers(1, 50))
def test_a_cut_keeps_exactly_the_selected(data, values, chunk) -> None:
    keys = np.array(values, dtype=np.float32)
    n = data.draw(st.integers(1, len(keys)))
    cut = find_cut(_source(keys, chunk=chunk), n)
    kept = torch.cat([cut.keeps(part.keys, part.start) for part in _source(keys, chunk=chunk)()])
    assert sorted(_by_sorting(keys, n)) == kept.nonzero().squeeze(1).tolist()


def test_minus_zero_is_zero() -> None:
    keys = np.array([-0.0, 0.0, -0.0, 0.0], dtype=np.float32)
    found = select_top(_source(keys), 3)
    assert found.positions.tolist() == [0, 1, 2]
    assert not np.signbit(found.keys.numpy()).any()


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF])
def test_nan_of_any_bits_is_refused_by_tensor(bits: int) -> None:
    keys = np.ones(10, dtype=np.float32)
    keys[7] = np.array(bits, dtype=np.uint32).view(np.float32)
    with pytest.raises(NonFiniteError, match="tensor-5"):
        select_top(_source(keys, chunk=5), 2)
    eligible = np.arange(10) != 7
    assert select_top(_source(keys, eligible, chunk=5), 2).positions.tolist() == [0, 1]


def test_keys_given_are_not_changed() -> None:
    keys = np.array([-0.0, 3.0, -1.0], dtype=np.float32)
    before = keys.tobytes()
    select_top(_source(keys), 2)
    assert keys.tobytes() == before


@pytest.mark.parametrize(
    ("k", "total", "n"), [(100, 7, 7), (0.0025, 3_000_000, 75), (1, 149, 1), (1, 150, 2), (1e-9, 100, 1), (50, 3, 2)]
)
def test_k_is_in_percent(k: float, total: int, n: int) -> None:
    assert count_for(k, total) == n


@pytest.mark.parametrize("k", [0, -1, 100.1, float("nan"), INFINITY])
def test_k_outside_its_range_is_refused(k: float) -> None:
    with pytest.raises(SelectionError, match="k is in percent of all the model's parameters"):
        count_for(k, 100)


def _tensors(sizes: list[int]) -> tuple[np.ndarray, dict[str, KeySource]]:
    """Small integers as keys, so that ties are many."""
    keys = np.random.default_rng(len(sizes)).integers(0, 4, sum(sizes)).astype(np.float32)
    starts = np.cumsum([0, *sizes])

    def source(start: int, size: int) -> KeySource:
        return lambda: [KeyChunk("t", start, torch.from_numpy(keys[start : start + size]))]

    return keys, {str(index): source(int(starts[index]), size) for index, size in enumerate(sizes)}


@settings(deadline=None, max_examples=100)
@given(data=st.data(), sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(lambda found: sum(found) > 0))
def test_per_tensor_order_is_by_share_of_the_tensor(data, sizes) -> None:
    keys, sources = _tensors(sizes)
    n = data.draw(st.integers(1, sum(sizes)))
    ranked = []
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        order = _by_sorting(keys[start : start + size], size)
        ranked += [((rank + 1) / size, int(start) + offset) for rank, offset in enumerate(order)]
    expected = [position for _, position in sorted(ranked)[:n]]
    assert select_per_tensor(sources, n).positions.tolist() == expected


def test_per_tensor_takes_k_percent_of_each() -> None:
    _, sources = _tensors([200, 100, 1000])
    positions = select_per_tensor(sources, 130).positions.numpy()  # 10% of 1300
    assert np.histogram(positions, [0, 200, 300, 1300])[0].tolist() == [20, 10, 100]
    with pytest.raises(SelectionError, match="1300 parameters are eligible, fewer than the 1301"):
        select_per_tensor(sources, 1301)
