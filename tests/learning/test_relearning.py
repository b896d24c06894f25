"""Relearning after a spot was removed: what is held at zero, what the figures mean, and what comes back."""

import numpy as np
import pytest
import torch

from codingspot.ablation import edited
from codingspot.errors import SelectionError, StudyError
from codingspot.importance.finetune import FineTune, fine_tuned
from codingspot.learning import RelearnSettings, dose_that_harms, relearning
from codingspot.models import ParameterLayout, fingerprint, unique_parameters
from codingspot.spot import Spot

SETTINGS = RelearnSettings(measured_at=(1, 4), learning_rate=0.01, sequences=3)


def flat(loaded) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in unique_parameters(loaded.model).values()])


@pytest.fixture
def spot(loaded) -> Spot:
    layout = ParameterLayout.of(loaded.model)
    positions = torch.randperm(layout.total, generator=torch.Generator().manual_seed(0))[:1500]
    return Spot(positions, torch.zeros(1500), layout, {"model": {"fingerprint": loaded.fingerprint}})


@pytest.mark.parametrize("ablated", ["zero", "free"])
def test_removed_weights_stay_zero_or_are_learned_again(learner, spot, ablated) -> None:
    seen: list[torch.Tensor] = []

    def measure() -> dict[str, float]:
        seen.append(flat(learner.loaded))
        return {"x": 1.0}

    before = fingerprint(learner.loaded.model)
    settings = RelearnSettings(**{**SETTINGS.__dict__, "ablated": ablated})
    relearning(learner.loaded, {"spot": spot}, {"go": learner.texts["go"]}, measure, settings)
    assert fingerprint(learner.loaded.model) == before
    assert all(weight.grad is None for weight in learner.loaded.model.parameters())
    original, *_, harmed, first, last = seen
    inside = torch.zeros(spot.layout.total, dtype=torch.bool)
    inside[spot.positions] = True
    assert not harmed[inside].any()
    assert torch.equal(harmed[~inside], original[~inside])
    moved = (first != harmed) & ~inside
    assert moved.float().mean() > 0.5
    for weights in (first, last):
        assert bool(weights[inside].any()) == (ablated == "free")


def test_free_relearning_is_fine_tuning_of_the_ablated_model(learner, spot) -> None:
    settings = RelearnSettings(**{**SETTINGS.__dict__, "ablated": "free"})
    table = relearning(learner.loaded, {"spot": spot}, {"go": learner.texts["go"]}, learner.measure, settings)
    finetune = FineTune(steps=4, learning_rate=0.01, sequences_per_step=3)
    with edited(learner.loaded, spot), fine_tuned(learner.loaded.model, learner.texts["go"], finetune):
        expected = learner.measure()
    rows = table[(table["spot"] == "spot") & (table["step"] == 4)].set_index("measure")
    assert rows["value"].to_dict() == expected


def test_rows_say_where_the_figure_came_from_and_how_far_it_came_back(learner, spot) -> None:
    texts = {name: learner.texts[name] for name in ("go", "english")}
    table = relearning(learner.loaded, {"spot": spot}, texts, learner.measure, SETTINGS)
    assert len(table) == 2 * 2 * 3 * 3  # spots, texts, steps, figures
    assert set(table["spot"]) == {"original", "spot"}
    original = learner.measure()
    with edited(learner.loaded, spot):
        harmed = learner.measure()
    for row in table.to_dict("records"):
        assert row["original"] == original[row["measure"]]
        assert row["harmed"] == (harmed if row["spot"] == "spot" else original)[row["measure"]]
        assert row["tokens"] == row["step"] * 3 * 8
        assert row["parameters"] == (1500 if row["spot"] == "spot" else 0)
        if row["step"] == 0:
            assert row["value"] == row["harmed"]
    whole = table[table["spot"] == "original"]
    assert whole["recovered"].isna().all()


def test_recovery_is_the_share_of_the_harm_undone(learner, spot) -> None:
    figures = iter([10.0, 10.0, 10.0, 10.0, 2.0, 4.0, 9.6])  # original; the whole model thrice; the ablated one thrice
    near = iter([1.0, 1.0, 1.0, 1.0, 1.04, 1.02, 1.0])
    table = relearning(
        learner.loaded,
        {"spot": spot},
        {"go": learner.texts["go"]},
        lambda: {"x": next(figures), "barely moved": next(near)},
        SETTINGS,
    )
    rows = table[table["spot"] == "spot"].set_index(["measure", "step"])["recovered"]
    assert rows["x"].to_dict() == pytest.approx({0: 0.0, 1: 0.25, 4: 0.95})
    assert np.isnan(rows["barely moved"]).all()


def test_what_is_trained_on_comes_back(learner, spot) -> None:
    settings = RelearnSettings(measured_at=(10,), learning_rate=0.01)
    table = relearning(learner.loaded, {"spot": spot}, {"go": learner.texts["go"]}, learner.measure, settings)
    rows = table[(table["spot"] == "spot") & (table["measure"] == "go")].set_index("step")["value"]
    assert rows[10] < rows[0] - 0.2


@pytest.mark.parametrize("target", [1.0, 37.5, 500.0])
def test_the_dose_that_harms_is_the_smallest_to_a_hundredth(loaded, spot, target) -> None:
    before = fingerprint(loaded.model)

    def zeros() -> dict[str, float]:
        return {"zeros": float((flat(loaded)[spot.positions] == 0).sum())}

    found = dose_that_harms(loaded, spot, zeros, "zeros", target)
    assert target <= len(found) <= target + 15
    assert torch.equal(found.positions, spot.positions[: len(found)])
    falling = dose_that_harms(loaded, spot, lambda: {"kept": -zeros()["zeros"]}, "kept", -target)
    assert len(falling) == len(found)
    assert fingerprint(loaded.model) == before


def test_what_makes_no_sense_is_refused(loaded, learner, spot) -> None:
    with pytest.raises(SelectionError, match="don't bring x to 2"):
        dose_that_harms(loaded, spot, lambda: {"x": 1.0}, "x", 2.0)
    with pytest.raises(StudyError, match="called 'original'"):
        relearning(loaded, {"original": spot}, {}, learner.measure)
    for steps in ((), (0, 1), (2, 1), (1, 1)):
        with pytest.raises(StudyError, match="increase"):
            RelearnSettings(measured_at=steps)
