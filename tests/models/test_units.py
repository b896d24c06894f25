"""Units of every architecture, tested by effect: a unit's weights at zero are its activation at zero."""

from collections.abc import Callable

import pytest
import torch
from architectures import CONFIGS, VOCABULARY, make_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from codingspot.errors import ModelError, StudyError
from codingspot.models import ParameterLayout, Units, find_units, unique_parameters
from codingspot.models.inputs import observed_inputs

TOKENS = torch.randint(0, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))


def random_model(name: str) -> PreTrainedModel:
    """With biases that aren't zero."""
    model = make_model(name, tied=False)
    generator = torch.Generator().manual_seed(3)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("bias"):
            parameter.data.normal_(0, 0.2, generator=generator)
    return model


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def without_weights(model: PreTrainedModel, units: Units, numbers: Tensor) -> Tensor:
    parameters = unique_parameters(model)
    saved = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    for name, located in units.layout.locate(units.positions(numbers)).items():
        parameters[name].data.view(-1)[located.offsets] = 0
    found = logits(model)
    for name, values in saved.items():
        parameters[name].data.copy_(values)
    return found


def silenced(units: Units, numbers: Tensor) -> Callable[[str, int, Tensor], Tensor]:
    """An observer under which the inputs that are the units' are 0."""
    columns: dict[tuple[str, int], list[int]] = {}
    for index, site in enumerate(units.sites):
        for number in numbers.tolist():
            if units.slice(index).start <= number < units.slice(index).stop:
                expert, place = divmod(number - units.slice(index).start, site.width)
                columns.setdefault((*site.writes, expert), []).append(place)
    widths = {name: site.width for site in units.sites for name in site.writes}

    def observe(name: str, expert: int, inputs: Tensor) -> Tensor:
        changed = inputs.clone().unflatten(-1, (widths[name], -1))
        changed[..., columns.get((name, expert), []), :] = 0
        return changed.flatten(-2)

    return observe


@pytest.mark.parametrize("kind", ["neuron", "head", "group"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_zeroing_the_weights_of_units_is_zeroing_what_they_write(name, kind) -> None:
    model = random_model(name)
    units = find_units(model, kind)
    numbers = torch.tensor([len(units) - 1, 0, len(units) // 2]).unique()
    names = [name for site in units.sites for name in site.writes]
    with observed_inputs(model, names, silenced(units, numbers)):
        expected = logits(model)
    found = without_weights(model, units, numbers)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, logits(model), atol=1e-3)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_layer_without_its_weights_is_passed_by(name) -> None:
    model = random_model(name)
    units = find_units(model, "layer")
    assert units.layers.tolist() == [0, 1]
    assert int(units.sizes.sum()) == sum(
        size for n, size in units.layout.sizes.items() if any(part in n for part in ("attn", "attention", "mlp"))
        and "norm" not in n and "ln_" not in n
    )  # fmt: skip
    found = without_weights(model, units, torch.tensor([1]))
    layers = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    del layers[1]
    model.config.num_hidden_layers = 1
    torch.testing.assert_close(found, logits(model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["neuron", "head", "group", "layer"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_units_share_no_weight(name, kind) -> None:
    units = find_units(make_model(name, tied=True), kind)
    positions = units.positions(torch.arange(len(units)))
    assert len(torch.unique(positions)) == len(positions) == int(units.sizes.sum())
    few = torch.tensor([len(units) - 1, 0])
    ends = units.sizes[few].cumsum(0)
    assert units.positions(few)[int(ends[0]) :].tolist() == units.positions(few[1:]).tolist()


@pytest.mark.parametrize("name", list(CONFIGS))
def test_keys_and_values_are_a_head_s_where_it_shares_them_with_none(name) -> None:
    model = make_model(name, tied=True)
    heads, groups = find_units(model, "head"), find_units(model, "group")
    assert len(heads) == 8
    if len(groups) == len(heads):
        assert heads.positions(torch.arange(8)).sort().values.equal(groups.positions(torch.arange(8)).sort().values)
    else:
        assert int(groups.sizes.sum()) > int(heads.sizes.sum())
        assert set(heads.positions(torch.arange(8)).tolist()) < set(
            groups.positions(torch.arange(len(groups))).tolist()
        )


@pytest.mark.parametrize("kind", ["neuron", "group"])
@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2", "falcon-40b", "mixtral"])
def test_sums_over_units_are_those_over_their_positions(name, kind) -> None:
    units = find_units(make_model(name, tied=True), kind)
    values = torch.randn(units.layout.total, generator=torch.Generator().manual_seed(2))
    found = units.sums(lambda n: values[units.layout.slice(n)].view(units.layout.shape(n)))
    expected = [values[units.positions(torch.tensor([n]))].double().sum().item() for n in range(len(units))]
    assert found.tolist() == pytest.approx(expected)


def test_places_of_experts() -> None:
    units = find_units(make_model("mixtral", tied=True), "neuron")
    assert (len(units), units.layers[71], units.experts[71], units.indices[71]) == (144, 0, 2, 23)
    assert units.inside("mlp").all()
    assert not units.inside("attention").any()


def test_units_are_found_without_weights() -> None:
    with torch.device("meta"):
        model = make_model("llama", tied=True)
    assert find_units(model, "head").layout == ParameterLayout.of(model)


def test_a_layout_that_is_not_understood_is_refused_in_one_line() -> None:
    model = make_model("phi3", tied=True)
    model.model.layers[0].mlp.gate_up_proj.is_concatenated = False
    with pytest.raises(ModelError, match=r"the neurons of model.layers.0.mlp.gate_up_proj.weight can't be told apart"):
        find_units(model, "neuron")
    model.config.num_attention_heads = 3
    with pytest.raises(ModelError, match=r"the attention heads of model.layers.0.self_attn.o_proj.weight can't be"):
        find_units(model, "head")
    del model.model.layers
    with pytest.raises(ModelError, match="no neuron was found in Phi3ForCausalLM"):
        find_units(model, "neuron")


def test_a_kind_that_there_is_not_is_named() -> None:
    with pytest.raises(StudyError, match="unknown unit 'neurons'; use one of neuron, head, group, layer"):
        find_units(make_model("llama", tied=False), "neurons")  # type: ignore[arg-type]
