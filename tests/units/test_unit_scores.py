"""Scores of units, from activations that are known."""

import pytest
import torch
from architectures import make_model
from torch import Tensor
from unit_texts import packed

from codingspot.models import LoadedModel, find_units, unique_parameters
from codingspot.models.inputs import observed_inputs
from codingspot.units import UNIT_SCORES, UnitDomain, measure
from codingspot.units.scores import column_squares


def score(model, kind, name, tokens) -> tuple[Tensor, UnitDomain]:
    units = find_units(model, kind)
    statistics = UNIT_SCORES.traits(name).statistics
    moments = measure(model, units, tokens, statistics) if statistics else None
    weights = unique_parameters(model)
    domain = UnitDomain(
        units,
        moments,
        weights.__getitem__,
        lambda name: weights[name].detach().abs(),
        lambda name: column_squares(units, weights[name], name),
    )
    return UNIT_SCORES[name](domain), domain


def heads(model, tokens) -> Tensor:
    """[tokens, layers, heads, numbers]."""
    seen = []
    units = find_units(model, "head")
    names = [name for site in units.sites for name in site.writes]
    with torch.no_grad(), observed_inputs(model, names, lambda _n, _e, a: seen.append(a.unflatten(-1, (4, -1)))):
        model(tokens.input_ids)
    return torch.stack([each.flatten(0, 1) for each in seen], dim=1).double()


def test_scores_of_heads_from_their_activations() -> None:
    model, tokens = make_model("llama", tied=False), packed("go", 2, 40, 1)
    a = heads(model, tokens)
    expected = {
        "abs": a.abs().mean((0, 3)),
        "rms": (a**2).mean((0, 3)).sqrt(),
        "std": a.var(0, unbiased=False).mean(-1).sqrt(),
        "freq": (a > 0).double().mean((0, 3)),
    }
    for name, value in expected.items():
        torch.testing.assert_close(score(model, "head", name, tokens)[0], value.flatten(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_write_norm_is_the_size_of_what_is_written(name) -> None:
    """Of a neuron: its activation's root mean square, times the norm of the column it writes."""
    model, tokens = make_model(name, tied=False), packed("go", 2, 40, 1)
    written, _ = score(model, "neuron", "write", tokens)
    rms, domain = score(model, "neuron", "rms", tokens)
    columns = []
    for site in domain.units.sites:
        (matrix,) = site.writes
        weight = model.get_parameter(matrix).detach().double()
        norms = weight.norm(dim=0 if weight.dim() == 2 else 1)
        columns.append((weight.norm(dim=1) if name == "gpt2" else norms).flatten())
    torch.testing.assert_close(written, rms * torch.cat(columns))


def test_attribution_predicts_what_a_unit_s_silence_does_to_the_loss() -> None:
    """To first order: a unit a hundredth weaker."""
    model, tokens = make_model("llama", tied=False), packed("go", 2, 40, 1)
    found, domain = score(model, "head", "attribution", tokens)
    units = domain.units

    def loss(unit: int, factor: float) -> float:
        def weaken(name: str, _expert: int, inputs: Tensor) -> Tensor | None:
            site = next(i for i, each in enumerate(units.sites) if name in each.writes)
            if not units.slice(site).start <= unit < units.slice(site).stop:
                return None
            changed = inputs.clone().unflatten(-1, (4, -1))
            changed[..., unit - units.slice(site).start, :] *= factor
            return changed.flatten(-2)

        names = [name for site in units.sites for name in site.writes]
        with torch.no_grad(), observed_inputs(model, names, weaken):
            logits = model(tokens.input_ids).logits[:, :-1].double().flatten(0, 1)
        return float(torch.nn.functional.cross_entropy(logits, tokens.input_ids[:, 1:].flatten()))

    for unit in range(len(units)):
        measured = (loss(unit, 0.99) - loss(unit, 1.01)) / 0.02
        assert measured == pytest.approx(float(found[unit]), rel=0.02, abs=2e-5)


def test_absolute_attribution_is_no_less_than_signed() -> None:
    model, tokens = make_model("mixtral", tied=False), packed("go", 2, 40, 1)
    signed, absolute = (score(model, "neuron", name, tokens)[0] for name in ("attribution", "pls"))
    assert (absolute >= signed.abs() - 1e-9).all()
    assert (signed < 0).any()


def test_weights_scores_are_summed_over_a_unit_s_weights() -> None:
    model = make_model("llama", tied=False)
    found, domain = score(model, "neuron", "weights", packed("go", 2, 40, 1))
    loaded = LoadedModel(model, None, "tiny")  # type: ignore[arg-type]
    flat = torch.cat([p.detach().abs().flatten() for p in unique_parameters(loaded.model).values()]).double()
    assert float(found[5]) == pytest.approx(float(flat[domain.units.positions(torch.tensor([5]))].sum()))


def test_a_layer_s_activations_are_those_of_its_attention_and_mlp() -> None:
    model, tokens = make_model("llama", tied=False), packed("go", 2, 40, 1)
    whole = score(model, "layer", "pls", tokens)[0]
    assert len(whole) == 2
    squares = score(model, "layer", "write", tokens)[0] ** 2
    parts = [score(model, kind, "write", tokens)[0].view(2, -1).square().sum(1) for kind in ("neuron", "head")]
    torch.testing.assert_close(squares, parts[0] + parts[1])
