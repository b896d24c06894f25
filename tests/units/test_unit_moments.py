"""Sums over tokens, beside the same taken by hand from all activations and gradients at once."""

from dataclasses import replace

import pytest
import torch
from architectures import CONFIGS, make_model
from torch import Tensor
from transformers import PreTrainedModel
from unit_texts import packed

from codingspot.errors import NonFiniteError
from codingspot.models import UnitKind, find_units
from codingspot.models.inputs import observed_inputs
from codingspot.units import STATISTICS, Moments, measure

EVERY = [name for name, statistic in STATISTICS.items() if not statistic.attention]
PLAIN = [name for name in EVERY if not STATISTICS[name].backward]
TOKENS = packed("go", 2, 40, 1)


def by_hand(model: PreTrainedModel, kind: UnitKind) -> dict[str, dict[str, Tensor]]:
    """All statistics by matrix, of experts one after another."""
    units = find_units(model, kind)
    seen: dict[tuple[str, int], list[Tensor]] = {}

    def keep(name: str, expert: int, inputs: Tensor) -> None:
        inputs.retain_grad()
        seen.setdefault((name, expert), []).append(inputs)

    names = {name: site for site in units.sites for name in site.writes}
    with torch.enable_grad(), observed_inputs(model, names, keep):
        logits = model(TOKENS.input_ids).logits[:, :-1].flatten(0, 1)
        torch.nn.functional.cross_entropy(logits, TOKENS.input_ids[:, 1:].flatten(), reduction="sum").backward()
    found: dict[str, dict[str, Tensor]] = {statistic: {} for statistic in EVERY}
    for name, site in names.items():
        for expert in range(site.experts):
            calls = seen.get((name, expert), [])
            a = torch.cat([each.detach().flatten(0, -2) for each in calls]).double()
            g = torch.cat([each.grad.flatten(0, -2) for each in calls]).double()  # type: ignore[union-attr]
            product = (a * g).unflatten(-1, (site.width, -1)).sum(-1)
            for statistic, value in {
                "absolute": a.abs(),
                "square": a**2,
                "sum": a,
                "positive": (a > 0).double(),
                "effect": a * g,
                "absolute_effect": product.abs(),
            }.items():
                rows = found[statistic].get(name)
                new = value.sum(0)[None]
                found[statistic][name] = new if rows is None else torch.cat([rows, new])
    model.zero_grad()
    return found


def compare(moments: Moments, expected: dict[str, dict[str, Tensor]]) -> None:
    for statistic, sums in moments.sums.items():
        assert sums.keys() == expected[statistic].keys()
        for name, value in sums.items():
            torch.testing.assert_close(value, expected[statistic][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("kind", ["neuron", "head"])
def test_sums_are_those_of_all_tokens_at_once(name, kind) -> None:
    model = make_model(name, tied=False)
    moments = measure(model, find_units(model, kind), TOKENS, EVERY)
    assert (moments.tokens, moments.predicted_tokens) == (60, 54)
    compare(moments, by_hand(model, kind))


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
@pytest.mark.parametrize("statistics", [PLAIN, EVERY])
def test_sums_do_not_depend_on_how_many_sequences_are_run_at_once(name, statistics) -> None:
    model = make_model(name, tied=True)
    units = find_units(model, "group")
    whole = measure(model, units, TOKENS, statistics)
    compare(measure(model, units, TOKENS, statistics, batch_tokens=10), whole.sums)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["llama", "mixtral"])
@pytest.mark.parametrize("statistics", [PLAIN, EVERY])
def test_sums_of_draws_are_those_of_their_text_alone_and_add_up_in_one_pass(name, statistics) -> None:
    model = make_model(name, tied=True)
    units = find_units(model, "neuron")
    read: list[int] = []
    whole = measure(model, units, TOKENS, statistics, draws=3, batch_tokens=40, progress=read.append)
    assert sum(read) == TOKENS.tokens
    for number, draw in enumerate(whole.draws):
        part = replace(TOKENS, input_ids=TOKENS.input_ids[2 * number : 2 * number + 2])
        alone = measure(model, units, part, statistics)
        assert (draw.tokens, draw.predicted_tokens) == (alone.tokens, alone.predicted_tokens) == (20, 18)
        for statistic, sums in alone.sums.items():
            for matrix, values in sums.items():
                assert torch.equal(draw.sums[statistic][matrix], values)
    compare(whole, measure(model, units, TOKENS, statistics).sums)  # type: ignore[arg-type]
    one_by_one = measure(model, units, TOKENS, statistics, draws=3, batch_tokens=10)
    for draw, other in zip(whole.draws, one_by_one.draws, strict=True):
        compare(other, draw.sums)  # type: ignore[arg-type]
    first_and_last = whole.of_draws([0, 2])
    assert first_and_last.tokens == 40
    ids = torch.cat([TOKENS.input_ids[:2], TOKENS.input_ids[4:]])
    compare(first_and_last, measure(model, units, replace(TOKENS, input_ids=ids), statistics).sums)  # type: ignore[arg-type]


def test_plain_sums_take_no_gradient_and_no_logits() -> None:
    model = make_model("llama", tied=False)
    model.lm_head.forward = lambda _states: pytest.fail("the output head was run")  # type: ignore[method-assign]
    read: list[int] = []
    measure(model, find_units(model, "neuron"), TOKENS, ["square"], batch_tokens=20, progress=read.append)
    assert read == [20, 20, 20]


def test_gradients_are_of_activations_alone_and_the_model_is_left_as_it_was() -> None:
    model = make_model("llama", tied=False)
    model.lm_head.weight.requires_grad_(False)
    measure(model, find_units(model, "neuron"), TOKENS, ["effect"])
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_what_is_not_finite_is_refused() -> None:
    model = make_model("llama", tied=False)
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = torch.inf
    with pytest.raises(NonFiniteError, match=r"layers.1.mlp.down_proj.weight reads on 'go' is not finite"):
        measure(model, find_units(model, "neuron"), TOKENS, ["square"])
