"""Scores of heads from attention probabilities, beside loops over those that the model gives out."""

import gc
from dataclasses import replace

import pytest
import torch
from architectures import CONFIGS, make_model
from torch import Tensor
from transformers import AutoModelForCausalLM, Lfm2Config, PreTrainedModel
from unit_texts import packed

from codingspot.errors import ModelError, StudyError
from codingspot.models import find_units
from codingspot.spot import RECIPES, measure_spot
from codingspot.units import UNIT_SCORES, Moments, UnitDomain, attention, measure
from codingspot.units.ranking import UnitSettings, rank

TOKENS = packed("go", 2, 40, 1, sequences=3)
PREDICTED = 3 * 9
ATTENTION = ["helpful_attention", "rolled_out_attention"]
SCORES = ["attention_gradient", "rollout"]


def deep(name: str) -> PreTrainedModel:
    """Three layers: what the first brings goes through two more, whose order matters."""
    model = make_model(name, tied=False)
    if name != "llama":
        return model
    config = type(model.config)(**{**model.config.to_dict(), "num_hidden_layers": 3})
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def by_hand(model: PreTrainedModel) -> tuple[dict[str, Tensor], Tensor]:
    """Both scores ``[layers, heads]``, and the sums of probability times gradient."""
    eager = AutoModelForCausalLM.from_config(model.config, attn_implementation="eager").eval()
    eager.load_state_dict(model.state_dict())
    out = eager(TOKENS.input_ids, output_attentions=True)
    for each in out.attentions:
        each.retain_grad()
    logits = out.logits[:, :-1].flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, TOKENS.input_ids[:, 1:].flatten(), reduction="sum").backward()
    a = torch.stack([each.detach() for each in out.attentions]).double()  # [layers, rows, heads, queries, keys]
    products = a * torch.stack([each.grad for each in out.attentions])  # type: ignore[misc]
    layers, rows, heads, length, _ = a.shape
    rolled = torch.zeros(layers, heads, dtype=torch.float64)
    for row in range(rows):
        for layer in range(layers):
            above = torch.eye(length, dtype=torch.float64)
            for higher in range(layers - 1, layer, -1):
                above = above @ (torch.eye(length) + a[higher, row].mean(0)) / 2
            for head in range(heads):
                for i in range(length):
                    for j in range(1, i):
                        for predicting in range(length - 1):
                            part = a[layer, row, head, i, j] / 2 / heads
                            rolled[layer, head] += above[predicting, i] * part / PREDICTED
    helpful = products.neg().clamp(min=0).sum((1, 3, 4)) / PREDICTED
    return {"attention_gradient": helpful, "rollout": rolled}, products.sum((1, 3, 4))


def scores(model: PreTrainedModel, kind: str, name: str, **options) -> Tensor:
    units = find_units(model, kind)  # type: ignore[arg-type]
    moments = measure(model, units, TOKENS, UNIT_SCORES.traits(name).statistics, **options)
    return UNIT_SCORES[name](UnitDomain(units, moments, lambda _: None, lambda _: None, lambda _: None))  # type: ignore


@pytest.mark.parametrize("name", list(CONFIGS))
def test_scores_are_those_of_loops_over_all_probabilities(name) -> None:
    model = deep(name)
    expected, products = by_hand(model)
    for score, value in expected.items():
        assert value.min() > 0
        torch.testing.assert_close(scores(model, "head", score), value.flatten(), rtol=1e-4, atol=1e-7)
    # Helpful and harmful attention together are the heads' attribution.
    effects = measure(model, find_units(model, "head"), TOKENS, ["effect"]).sums["effect"]
    together = torch.stack([effects[name].view(4, -1).sum(-1) for name in sorted(effects)])
    torch.testing.assert_close(together, products, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("score", SCORES)
def test_a_group_s_score_is_its_heads_sum(score) -> None:
    model = make_model("llama", tied=False)
    heads = scores(model, "head", score)
    torch.testing.assert_close(scores(model, "group", score), heads.view(4, 2).sum(1))


def test_a_head_that_attends_to_itself_and_the_first_position_brings_nothing() -> None:
    resting = torch.zeros(1, 2, 5, 5)
    resting[0, :, :, 0] = 0.75
    resting[0, :, range(5), range(5)] += 0.25
    before = resting.clone()  # the second head attends to the position before
    before[0, 1] = torch.tensor([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]])
    assert attention.from_elsewhere(resting, None, 2).abs().max() == 0
    assert attention.from_elsewhere(before, None, 2)[0].tolist() == [[0.0] * 5, [0, 0, 0.25, 0.25, 0.25]]


def close(found: Moments, expected: Moments) -> None:
    assert (found.tokens, found.predicted_tokens) == (expected.tokens, expected.predicted_tokens)
    for statistic, sums in expected.sums.items():
        for name, value in sums.items():
            torch.testing.assert_close(found.sums[statistic][name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("statistics", [ATTENTION[:1], ATTENTION[1:], [*ATTENTION, "square", "effect"]])
@pytest.mark.parametrize("name", ["llama", "gemma2", "mixtral"])
def test_sums_do_not_depend_on_batches_draws_or_what_else_is_read(name, statistics, monkeypatch) -> None:
    model = make_model(name, tied=False)
    units = find_units(model, "head")
    whole = measure(model, units, TOKENS, statistics)
    for statistic in statistics:
        alone = measure(model, units, TOKENS, [statistic], batch_tokens=10)
        close(alone, replace(whole, sums={statistic: whole.sums[statistic]}))
    drawn = measure(model, units, TOKENS, statistics, draws=3)
    close(drawn, whole)
    first = measure(model, units, replace(TOKENS, input_ids=TOKENS.input_ids[:1]), statistics)
    close(drawn.draws[0], first)
    read: list[int] = []
    monkeypatch.setattr(attention, "MAX_PROBABILITIES", 1)
    close(measure(model, units, TOKENS, statistics, progress=read.append), whole)
    assert read == [10, 10, 10]


def test_probabilities_of_a_batch_are_let_go_before_the_next() -> None:
    model = make_model("llama", tied=False)

    def alive(_tokens: int) -> None:
        held.append(sum(type(each) is Tensor and each.shape == (1, 4, 10, 10) for each in gc.get_objects()))

    held: list[int] = []
    measure(model, find_units(model, "head"), TOKENS, ATTENTION, batch_tokens=10, progress=alive)
    assert held == [0, 0, 0]


def test_the_model_is_left_as_it_was() -> None:
    model = make_model("llama", tied=False)
    model.lm_head.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(model, find_units(model, "head"), TOKENS, ATTENTION)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert all(p.grad is None for p in model.parameters())
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("unit", ["head", "group"])
@pytest.mark.parametrize("contrast", ["ratio", "share", "difference"])
def test_a_spot_of_heads_by_attention(make_given, score, unit, contrast) -> None:
    table = measure_spot(make_given(k=60.0), recipe="units", unit=unit, score=score, contrast=contrast).units
    assert (table[["code", "general"]] > 0).all(axis=None)
    assert table["key"].abs().max() < 100


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("unit", ["neuron", "layer"])
def test_units_without_attention_of_their_own_are_refused(make_given, score, unit) -> None:
    named = (
        rf"unit score '{score}' is made of attention probabilities, which don't tell {unit}s apart; set unit to head"
    )
    with pytest.raises(StudyError, match=named):
        RECIPES.traits("units", {"unit": unit, "score": score})
    given = make_given()
    units = find_units(given.loaded.model, unit)
    settings = UnitSettings(score, "ratio", 0.1, "domain", "mean", "largest", None, None)
    with pytest.raises(StudyError, match=named):
        rank(given, units, settings, units.inside("blocks"))


def test_of_a_model_with_other_layers_heads_are_scored_and_a_rollout_is_refused() -> None:
    """One layer of convolutions, one of attention."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Lfm2Config(vocab_size=48, num_hidden_layers=2, layer_types=["conv", "full_attention"], **sizes)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert (scores(model, "head", "attention_gradient") > 0).tolist() == [True] * 4
    named = "layer 0 of Lfm2ForCausalLM has no attention heads"
    with pytest.raises(ModelError, match=named):
        scores(model, "head", "rollout")
    fits = RECIPES.traits("units", {"unit": "head", "score": "rollout"}).fits
    with pytest.raises(ModelError, match=named):
        fits(model, "blocks", [1.0])  # type: ignore[misc]


def test_probabilities_that_the_loss_does_not_depend_on_are_refused() -> None:
    model = make_model("llama", tied=False)
    own = model.model.layers[1].self_attn
    forward = own.forward

    def copied(**inputs) -> tuple[Tensor, Tensor | None]:
        output, probabilities = forward(**inputs)
        return output, None if probabilities is None else probabilities * 1

    own.forward = copied
    with pytest.raises(ModelError, match=r"no gradient by the attention probabilities before model.layers.1.self_attn"):
        scores(model, "head", "attention_gradient")
