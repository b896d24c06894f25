"""What each edit makes of a weight."""

import numpy as np
import pytest
import torch

from codingspot.ablation import EDITS, WeightEditor, edited
from codingspot.errors import StudyError
from codingspot.models import ParameterLayout, fingerprint, unique_parameters

SETTINGS = {"scale": {"alpha": 0.5}}


def flat(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in unique_parameters(model).values()])


def after(model, spot, edit: str, **parameters) -> torch.Tensor:
    with edited(model, spot, edit, **parameters):
        return flat(model)[spot.positions]


@pytest.mark.parametrize("edit", list(EDITS))
def test_every_edit_is_undone_bit_for_bit(llama, make_spot, edit) -> None:
    before = fingerprint(llama)
    with edited(llama, make_spot(llama, 300), edit, **SETTINGS.get(edit, {})):
        assert fingerprint(llama) != before
    assert fingerprint(llama) == before


@pytest.mark.parametrize("edit", list(EDITS))
def test_what_a_weight_becomes_does_not_depend_on_the_dose_or_the_way_there(llama, make_spot, edit) -> None:
    spot, options = make_spot(llama, 400), SETTINGS.get(edit, {})
    at_once = after(llama, spot, edit, **options)
    with WeightEditor(llama) as editor:
        for n in (1, 50, 51, 400):
            editor.apply(spot.positions[:n], edit, **options)
            assert torch.equal(flat(llama)[spot.positions[:n]], at_once[:n])
    shuffled = spot.positions.flip(0)
    with edited(llama, shuffled, edit, **options):
        assert torch.equal(flat(llama)[spot.positions], at_once)


def test_simple_edits_by_hand(llama, make_spot) -> None:
    spot = make_spot(llama, 60)
    values = flat(llama)[spot.positions]
    assert torch.equal(after(llama, spot, "sign_flip"), -values)
    torch.testing.assert_close(after(llama, spot, "amplify"), values * 1.1)
    with (
        pytest.raises(StudyError, match=r"alpha is 0\.5 \(Input should be greater than 1\)"),
        edited(llama, spot, "amplify", alpha=0.5),
    ):
        pass


def test_mean_is_that_of_the_original_tensor(llama) -> None:
    layout = ParameterLayout.of(llama)
    first = layout.slice("lm_head.weight").start
    expected = llama.lm_head.weight.detach().mean()
    with WeightEditor(llama) as editor:
        editor.apply(torch.arange(first, first + 10), "mean")
        editor.apply(torch.arange(first, first + 200), "mean")
        torch.testing.assert_close(llama.lm_head.weight.flatten()[:200], expected.expand(200))


def test_noise_has_the_scale_of_its_tensor(llama) -> None:
    layout = ParameterLayout.of(llama)
    weight = llama.model.embed_tokens.weight
    span = layout.slice("model.embed_tokens.weight")
    before = weight.detach().flatten().clone()
    with edited(llama, torch.arange(span.start, span.stop), "noise", scale=2.0, seed=5):
        added = weight.detach().flatten() - before
    assert float(added.std() / before.std()) == pytest.approx(2.0, rel=0.12)
    assert abs(float(added.mean() / before.std())) < 0.35
    with edited(llama, torch.arange(span.start, span.stop), "noise", scale=2.0, seed=6):
        assert not torch.equal(weight.detach().flatten() - before, added)


def test_resampling_keeps_the_values_of_the_tensor(llama) -> None:
    layout = ParameterLayout.of(llama)
    span = layout.slice("lm_head.weight")
    before = set(llama.lm_head.weight.flatten().tolist())
    with edited(llama, torch.arange(span.start, span.stop), "resample"):
        now = llama.lm_head.weight.flatten().tolist()
    assert set(now) <= before
    distinct = len(set(now)) / len(now)
    assert distinct == pytest.approx(1 - np.exp(-1), abs=0.06)  # what drawing with replacement leaves
