import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from codingspot.errors import ArtefactError
from codingspot.models import ParameterLayout, fingerprint, unique_parameters

LAYOUT = ParameterLayout(("a", "b", "c", "d"), ((2, 3), (), (0, 4), (5,)))


def _tied() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=11, n_positions=8, n_embd=4, n_layer=1, n_head=1))


def test_tied_weights_appear_once_and_names_are_sorted() -> None:
    model = _tied()
    parameters = unique_parameters(model)
    assert list(parameters) == sorted(parameters)
    assert "transformer.wte.weight" in parameters
    assert "lm_head.weight" not in parameters
    assert ParameterLayout.of(model).total == sum(p.numel() for p in model.parameters())


def test_positions_run_through_the_tensors_end_to_end() -> None:
    assert LAYOUT.total == 12
    assert LAYOUT.sizes == {"a": 6, "b": 1, "c": 0, "d": 5}
    assert LAYOUT.slice("a") == slice(0, 6)
    assert LAYOUT.slice("d") == slice(7, 12)
    assert LAYOUT.shape("a") == (2, 3)


def test_located_positions_keep_their_order() -> None:
    groups = LAYOUT.locate(torch.tensor([11, 2, 6, 7, 0]))
    assert list(groups) == ["a", "b", "d"]
    assert groups["a"].offsets.tolist() == [2, 0]
    assert groups["a"].source.tolist() == [1, 4]
    assert groups["b"].offsets.tolist() == [0]
    assert groups["d"].offsets.tolist() == [4, 0]
    assert LAYOUT.locate(torch.tensor([], dtype=torch.int64)) == {}


@given(st.lists(st.integers(0, 11)))
def test_locating_loses_nothing(positions: list[int]) -> None:
    rebuilt = [-1] * len(positions)
    for name, located in LAYOUT.locate(torch.tensor(positions, dtype=torch.int64)).items():
        for offset, source in zip(located.offsets.tolist(), located.source.tolist(), strict=True):
            rebuilt[source] = LAYOUT.slice(name).start + offset
    assert rebuilt == positions


@pytest.mark.parametrize("position", [-1, 12])
def test_position_outside_the_model_is_refused(position: int) -> None:
    with pytest.raises(ArtefactError, match="outside the model's 12 parameters"):
        LAYOUT.locate(torch.tensor([position]))


def test_layout_survives_json() -> None:
    assert ParameterLayout.from_json(LAYOUT.to_json()) == LAYOUT
    with pytest.raises(ArtefactError, match="corrupt"):
        ParameterLayout.from_json([["a"]])


def test_fingerprint_sees_names_shapes_dtypes_and_every_bit() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    original = fingerprint(model)
    assert fingerprint(model) == original
    with torch.no_grad():
        model.weight[1, 2].neg_().neg_()
        assert fingerprint(model) == original
        model.bias.zero_()
        zeroed = fingerprint(model)
        model.bias.neg_()  # -0 differs from 0 by one bit
    assert len({original, zeroed, fingerprint(model), fingerprint(model.bfloat16())}) == 4
    one, other = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    other.weight.data = one.weight.data.view(2, 3).clone()
    assert fingerprint(one) != fingerprint(other)
