"""Controls by name: the same number of parameters, at every dose, drawn or found as each says."""

import numpy as np
import pytest
import torch

from codingspot.ablation import CONTROLS, Controlled, is_random
from codingspot.errors import SelectionError
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import unique_parameters
from codingspot.spot import find_spot

OF_WEIGHTS = [name for name in CONTROLS if not CONTROLS.traits(name).of_units]


@pytest.fixture
def controlled(llama, make_loaded, tmp_path) -> Controlled:
    generator = torch.Generator().manual_seed(0)
    shapes = {name: p.shape for name, p in unique_parameters(llama).items()}
    domains = [
        NewDomainScores(
            name,
            "general" if name == "English" else "code",
            {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()},
        )
        for name in ("Go", "Rust", "Java", "English")
    ]
    store = ScoreStore.write(tmp_path / "scores", domains)
    spot = find_spot(store, recipe="set_difference", scope="blocks", max_k_percent=10)
    return Controlled(spot, store, make_loaded(llama))


@pytest.mark.parametrize("name", [name for name in OF_WEIGHTS if not CONTROLS.traits(name).own_size])
def test_as_many_distinct_parameters_of_the_scope(controlled, name) -> None:
    control = CONTROLS[name](controlled)
    assert len(control) == len(controlled.spot) == len(control.positions.unique())
    blocks = {n for n in control.layout.names if "proj" in n}
    assert set(control.grouped()) <= blocks
    assert control.metadata["control"] is not None


@pytest.mark.parametrize("name", [name for name in OF_WEIGHTS if is_random(name)])
def test_random_controls_are_drawn_by_their_seed(controlled, name) -> None:
    one, same = CONTROLS[name](controlled, seed=1), CONTROLS[name](controlled, seed=1)
    assert torch.equal(one.positions, same.positions)
    others = [CONTROLS[name](controlled, seed=seed).positions for seed in range(2, 8)]
    assert not all(torch.equal(one.positions, other) for other in others)


@pytest.mark.parametrize("name", ["matched", "matched_magnitude", "matched_general"])
def test_matched_controls_have_the_spot_s_tensors_at_every_prefix(controlled, name) -> None:
    control = CONTROLS[name](controlled, seed=3)
    assert not set(control.positions.tolist()) & set(controlled.spot.positions.tolist())
    for n in (1, 17, 100, len(control)):
        tensors = [controlled.spot.layout.tensor_index(s.positions[:n]) for s in (control, controlled.spot)]
        assert torch.equal(*(t.sort().values for t in tensors))


@pytest.mark.parametrize("name", ["matched_magnitude", "matched_general"])
def test_matched_values_have_the_spot_s_distribution(controlled, name) -> None:
    """The spot leaves out the top of English and its magnitudes are as they fall: means agree within a bin."""
    weights = torch.cat([p.detach().abs().flatten() for p in unique_parameters(controlled.loaded.model).values()])
    english = torch.cat(
        [
            controlled.store.magnitude("English", n, 0, controlled.store.layout.sizes[n])
            for n in controlled.store.layout.names
        ]
    )
    values = weights if name == "matched_magnitude" else english
    control = CONTROLS[name](controlled, seed=0)
    means = [float(values[s.positions].mean()) for s in (control, controlled.spot)]
    assert means[0] == pytest.approx(means[1], rel=0.05)
    if name == "matched_general":  # where a match by tensor alone differs
        by_tensor = float(values[CONTROLS["matched"](controlled, seed=0).positions].mean())
        assert abs(by_tensor - means[1]) > 3 * abs(means[0] - means[1])


def test_found_controls_are_what_they_say(controlled) -> None:
    spot, store = controlled.spot, controlled.store
    largest = CONTROLS["top_magnitude"](controlled)
    weights = torch.cat([p.detach().abs().flatten() for p in unique_parameters(controlled.loaded.model).values()])
    assert torch.equal(largest.scores, weights[largest.positions])
    bottom = CONTROLS["bottom"](controlled)
    assert float(-bottom.scores[0]) <= float(spot.scores.min())
    general = CONTROLS["general_spot"](controlled)
    english = np.concatenate([store.magnitude("English", n, 0, store.layout.sizes[n]) for n in store.layout.names])
    assert torch.allclose(general.scores, torch.from_numpy(english)[general.positions])
    shuffled = CONTROLS["shuffled_labels"](controlled, seed=0)
    about = shuffled.metadata["control"]
    assert len(about["general"]) == 1
    assert "English" not in about["general"]
    assert "English" in shuffled.metadata["languages"]


def test_general_controls_need_general_scores(controlled) -> None:
    code_only = controlled.store.with_kinds({"English": "code"})
    spot = find_spot(code_only, scope="blocks", max_k_percent=5)
    lacking = Controlled(spot, code_only, controlled.loaded)
    for name in ("matched_general", "general_spot", "shuffled_labels"):
        with pytest.raises(SelectionError, match=f"{name} needs"):
            CONTROLS[name](lacking)


def test_what_a_tensor_cannot_give_comes_from_its_kind(controlled) -> None:
    norms = find_spot(controlled.store, scope="norms", max_k_percent=1)
    control = CONTROLS["matched_magnitude"](Controlled(norms, controlled.store, controlled.loaded), seed=0)
    assert len(control.positions.unique()) == len(norms)
    assert not set(control.positions.tolist()) & set(norms.positions.tolist())
