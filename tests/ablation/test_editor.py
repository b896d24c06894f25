from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from codingspot.ablation import EDITS, WeightEditor, edited
from codingspot.errors import ArtefactError, FingerprintError, StudyError
from codingspot.models import LoadedModel, ParameterLayout, fingerprint, unique_parameters


def _flat(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in unique_parameters(model).values()])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_exactly_the_spot_is_zeroed_and_restored_bit_for_bit(request, make_spot, name, dtype) -> None:
    model = request.getfixturevalue(name).to(dtype)
    spot = make_spot(model, 500)
    before, whole = fingerprint(model), _flat(model)
    with edited(model, spot) as editor:
        now = _flat(model)
        assert editor.edited == 500
        assert (now[spot.positions] == 0).all()
        elsewhere = torch.ones(len(now), dtype=torch.bool)
        elsewhere[spot.positions] = False
        assert torch.equal(now[elsewhere], whole[elsewhere])
    assert fingerprint(model) == before


def test_a_tied_weight_is_edited_in_both_places(gpt2) -> None:
    position = ParameterLayout.of(gpt2).slice("transformer.wte.weight").start
    with edited(gpt2, torch.tensor([position])):
        assert gpt2.lm_head.weight[0, 0] == 0


def test_scaling(llama, make_spot) -> None:
    spot = make_spot(llama, 50)
    whole = _flat(llama)
    with edited(llama, spot, "scale", alpha=0.25):
        assert torch.equal(_flat(llama)[spot.positions], whole[spot.positions] * 0.25)
    assert torch.equal(_flat(llama), whole)


def test_a_growing_prefix_touches_only_what_is_added(llama, make_spot, monkeypatch) -> None:
    touched = []
    zero = EDITS["zero"]

    def counting(values, site):
        touched.append(len(values))
        return zero(values, site)

    monkeypatch.setitem(EDITS._entries, "zero", replace(EDITS._entries["zero"], function=counting))
    spot = make_spot(llama, 600)
    total = len(_flat(llama))
    with WeightEditor(llama) as editor:
        for n, added in ((100, 100), (101, 1), (600, 499), (600, 0)):
            touched.clear()
            editor.apply(spot.top(100 * n / total))
            assert sum(touched) == added
            assert editor.edited == n == int((_flat(llama)[spot.positions] == 0).sum())
        touched.clear()
        editor.apply(spot.top(100 * 50 / total))
        assert sum(touched) == 50
        assert int((_flat(llama)[spot.positions] == 0).sum()) == 50


spots = st.tuples(st.sampled_from(["zero", "half", "double"]), st.integers(0, 2), st.integers(1, 300))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(spots, min_size=1, max_size=6))
def test_any_sequence_of_edits_is_as_if_the_last_were_the_only_one(llama, steps) -> None:
    before, whole = fingerprint(llama), _flat(llama)
    factor = {"zero": 0.0, "half": 0.5, "double": 2.0}
    with WeightEditor(llama) as editor:
        for name, seed, n in steps:
            spot = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))[:n]
            if name == "zero":
                editor.apply(spot)
            else:
                editor.apply(spot, "scale", alpha=factor[name])
            expected = whole.clone()
            expected[spot] *= factor[name]
            assert torch.equal(_flat(llama), expected)
    assert fingerprint(llama) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_weights_come_back_after_an_error_in_the_block(llama, make_spot, error) -> None:
    before = fingerprint(llama)

    def fail_inside() -> None:
        with edited(llama, make_spot(llama, 40)):
            raise error

    with pytest.raises(error):
        fail_inside()
    assert fingerprint(llama) == before


def test_an_edit_that_fails_half_way_leaves_nothing(llama, make_spot, monkeypatch) -> None:
    calls = []

    def failing(values, site):
        calls.append(values)
        if len(calls) == 3:
            raise MemoryError
        return torch.zeros_like(values)

    monkeypatch.setitem(EDITS._entries, "zero", replace(EDITS._entries["zero"], function=failing))
    before = fingerprint(llama)
    editor = WeightEditor(llama)
    with pytest.raises(MemoryError):
        editor.apply(make_spot(llama, 400))
    assert len(calls) == 3
    assert fingerprint(llama) == before
    assert editor.edited == 0


def test_a_spot_of_other_weights_is_refused(llama, gpt2, make_spot) -> None:
    spot = make_spot(llama, 10)
    with torch.no_grad():
        llama.lm_head.weight[0, 0] += 1
    before = fingerprint(llama)
    with pytest.raises(FingerprintError, match="other weights"), edited(llama, spot):
        pass
    assert fingerprint(llama) == before
    with WeightEditor(llama, check_fingerprint=False) as editor:
        editor.apply(spot)
        assert editor.edited == 10
    with pytest.raises(ArtefactError, match="a model with other parameters"):
        WeightEditor(gpt2).apply(spot)


def test_the_fingerprint_is_taken_once_and_of_the_original_weights(llama, make_spot, monkeypatch) -> None:
    taken = []

    def counting(model):
        taken.append(model)
        return fingerprint(model)

    monkeypatch.setattr("codingspot.ablation.editor.fingerprint", counting)
    spot, other = make_spot(llama, 30), make_spot(llama, 30, seed=1)
    with WeightEditor(llama) as editor:
        editor.apply(spot.positions)  # bare positions know no weights
        assert taken == []
        editor.apply(spot)
        editor.apply(other)
    assert len(taken) == 1

    words = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    loaded = LoadedModel(llama, PreTrainedTokenizerFast(tokenizer_object=words), "tiny")
    with WeightEditor(loaded) as editor:
        editor.apply(spot)
        editor.apply(other)
    assert len(taken) == 1
    assert loaded.fingerprint == spot.fingerprint


def test_faulty_edits_and_positions_are_refused(llama, make_spot) -> None:
    editor = WeightEditor(llama)
    with pytest.raises(StudyError, match="unknown edit 'zeros'; use one of zero, scale"):
        editor.apply(make_spot(llama, 3), "zeros")
    with pytest.raises(StudyError, match="edit 'scale' needs parameter 'alpha'"):
        editor.apply(make_spot(llama, 3), "scale")
    with pytest.raises(StudyError, match="edit 'zero' has no parameter 'alpha'"):
        editor.apply(make_spot(llama, 3), alpha=0.5)
    with pytest.raises(ArtefactError, match="outside the model"):
        editor.apply(torch.tensor([10**9]))
