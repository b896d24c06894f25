"""Keeping only the spot and a base set."""

import pytest
import torch

from codingspot.ablation import EDITS, WeightEditor, edited
from codingspot.errors import StudyError
from codingspot.models import ParameterLayout, fingerprint, unique_parameters


def flat(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in unique_parameters(model).values()])


def test_everything_but_the_spot_and_the_base_is_zero(llama, make_spot) -> None:
    before, spot, layout = flat(llama), make_spot(llama, 300), ParameterLayout.of(llama)
    kept = torch.zeros(layout.total, dtype=torch.bool)
    kept[spot.positions] = True
    for name in layout.names:
        if "norm" in name or "embed" in name or "lm_head" in name:
            kept[layout.slice(name)] = True
    whole = fingerprint(llama)
    with edited(llama, spot, "keep_only") as editor:
        assert torch.equal(flat(llama), before.where(kept, torch.zeros_like(before)))
        assert editor.edited == layout.total - 300
    assert fingerprint(llama) == whole


def test_the_base_may_hold_the_largest_weights_of_each_tensor(llama, make_spot) -> None:
    before, layout = unique_parameters(llama), ParameterLayout.of(llama)
    name = "model.layers.0.mlp.up_proj.weight"
    original = before[name].detach().flatten().clone()
    size = layout.sizes[name]
    smallest = original.abs().argsort()[:10]
    with edited(llama, smallest + layout.slice(name).start, "keep_only", base=(), largest_percent=25):
        now = unique_parameters(llama)[name].detach().flatten()
        kept = now.nonzero().squeeze(1)
        expected = torch.cat([smallest, original.abs().argsort()[-round(size / 4) :]])
        assert set(kept.tolist()) == set(expected.tolist())
        assert torch.equal(now[kept], original[kept])
        assert (unique_parameters(llama)["model.norm.weight"] != 0).sum() == 16  # all of one size: a tie, kept


def test_a_larger_dose_keeps_more_and_another_edit_follows(llama, make_spot) -> None:
    before, spot = flat(llama), make_spot(llama, 200)
    with WeightEditor(llama) as editor:
        for n in (10, 200, 50):
            editor.apply(spot.positions[:n], "keep_only", base=())
            assert int((flat(llama) != 0).sum()) == int((before[spot.positions[:n]] != 0).sum())
        editor.apply(spot.positions[:50], "zero")
        assert editor.edited == 50
        assert (flat(llama)[spot.positions[50:]] == before[spot.positions[50:]]).all()


def test_faulty_settings_are_named_and_nothing_stays_edited(llama, make_spot) -> None:
    whole = fingerprint(llama)
    for settings, message in (({"base": ("head",)}, "unknown scope 'head'"), ({"largest_percent": 101}, "101")):
        with pytest.raises(StudyError, match=message), edited(llama, make_spot(llama, 5), "keep_only", **settings):
            pass
    assert fingerprint(llama) == whole
    assert EDITS.traits("keep_only").of_the_rest
    assert not EDITS.traits("zero").of_the_rest
