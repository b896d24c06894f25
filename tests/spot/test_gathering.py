import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codingspot.spot.gathering import gather


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    selections=st.lists(st.lists(st.integers(0, 63), max_size=20, unique=True), min_size=1, max_size=4),
    run=st.integers(1, 70),
)
def test_every_selection_gets_its_scores_whatever_the_run(make_store, selections, run) -> None:
    expected = torch.stack([torch.arange(64.0), -torch.arange(64.0)])
    store = make_store(Go=expected[0], English=expected[1])
    asked = [torch.tensor(positions, dtype=torch.int64) for positions in selections]
    found = [torch.full((len(expected), len(positions)), torch.nan) for positions in asked]
    heard = []
    for index, rows, scores in gather(store, asked, run=run, progress=heard.append):
        found[index][:, rows] = scores
    for values, positions in zip(found, asked, strict=True):
        assert torch.equal(values, expected[:, positions])
    assert abs(sum(heard) - 1) < 1e-9
