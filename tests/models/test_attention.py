"""Attention probabilities, beside those that the model itself gives out."""

import pytest
import torch
from architectures import CONFIGS, make_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from codingspot.errors import ModelError
from codingspot.models import find_units
from codingspot.models.attention import observed_attention

IDS = torch.arange(2, 22).view(2, 10)


def names_of(model) -> list[str]:
    return [name for site in find_units(model, "head").sites for name in site.writes]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_probabilities_are_those_of_eager_attention(name) -> None:
    model = make_model(name, tied=False)
    eager = AutoModelForCausalLM.from_config(model.config, attn_implementation="eager").eval()
    eager.load_state_dict(model.state_dict())
    implementation = model.config._attn_implementation
    seen: dict[str, Tensor] = {}
    with torch.no_grad(), observed_attention(model, names_of(model), seen.__setitem__):
        model(IDS)
    with torch.no_grad():
        expected = eager(IDS, output_attentions=True).attentions
    assert list(seen) == names_of(model)
    assert len(expected) == 2
    for found, own in zip(seen.values(), expected, strict=True):
        torch.testing.assert_close(found, own)
        torch.testing.assert_close(found.sum(-1), torch.ones(2, 4, 10))
    assert model.config._attn_implementation == implementation


def test_a_model_is_put_back_also_after_an_error() -> None:
    model = make_model("llama", tied=False)
    with pytest.raises(ZeroDivisionError), observed_attention(model, names_of(model), lambda _n, _p: 1 // 0):
        model(IDS)
    assert {each.config._attn_implementation for each in (model, model.model)} == {"sdpa"}
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_without_probabilities_is_refused() -> None:
    model = make_model("llama", tied=False)
    attention = model.model.layers[1].self_attn
    forward = attention.forward
    attention.forward = lambda **inputs: (forward(**inputs)[0], None)
    with (
        pytest.raises(
            ModelError, match=r"layers.1.self_attn gives no attention probabilities; load the model with eager"
        ),
        observed_attention(model, names_of(model), lambda _n, _p: None),
    ):
        model(IDS)
