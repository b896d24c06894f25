"""What removing units does to the loss, on a model some of whose units do nothing."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.bench.use import Change, SubsetUse, _Losses, measure_use, members
from codingspot.errors import ArtefactError
from codingspot.models import LoadedModel, load_model, shipped_model, shipped_models
from codingspot.testbed.routing import Routing, Subset

TEXT = torch.randint(0, 20, (12, 8), generator=torch.Generator().manual_seed(0))
OTHER = torch.randint(0, 20, (24, 8), generator=torch.Generator().manual_seed(1))
IDLE = {("neuron", 0, 1), ("neuron", 1, 3), ("head", 1, 1)}


@pytest.fixture(scope="module")
def model(make_llama) -> LlamaForCausalLM:
    made = make_llama(initializer_range=0.5)
    zero(made, IDLE)
    return made


@pytest.fixture(scope="module")
def subset(model) -> Subset:
    return Subset.of(Routing(neurons=6, key_value_groups=1), model.config)


@pytest.fixture(scope="module")
def use(model, subset) -> SubsetUse:
    return measure_use(LoadedModel(model, None, "tiny", None, "a"), subset, TEXT, OTHER)


def zero(model: LlamaForCausalLM, units: set) -> None:
    """Columns of down and o: head size 4."""
    with torch.no_grad():
        for kind, layer, index in units:
            block = model.model.layers[layer]
            if kind == "neuron":
                block.mlp.down_proj.weight[:, index] = 0
            else:
                block.self_attn.o_proj.weight[:, 4 * index : 4 * index + 4] = 0


def test_removing_a_unit_is_zeroing_what_it_writes_through(model) -> None:
    losses = _Losses(model, TEXT)
    whole = losses.without(set())
    for unit in (("neuron", 0, 2), ("neuron", 1, 0), ("head", 0, 1), ("head", 1, 0)):
        edited = copy.deepcopy(model)
        zero(edited, {unit})
        expected = _Losses(edited, TEXT).without(set())
        assert not torch.equal(expected, whole)
        torch.testing.assert_close(losses.without_one(unit), expected)
    both = {("neuron", 0, 2), ("head", 1, 0)}
    edited = copy.deepcopy(model)
    zero(edited, both)
    torch.testing.assert_close(losses.without(both), _Losses(edited, TEXT).without(set()))
    assert len(model.model.layers) == 2


def test_units_that_write_nothing_are_the_unused_ones(subset, use) -> None:
    assert {unit for unit, effect in zip(members(subset), use.effects, strict=True) if effect == 0} == IDLE
    assert set(members(subset)) - set(members(use.used(subset))) >= IDLE
    assert use.unused == len(members(subset)) - len(members(use.used(subset)))
    assert [change.units for change in use.together] == sorted(change.units for change in use.together)
    assert {change.units for change in use.without_halves} == {use.unused}
    assert use.used(subset, unused=3).layers[1].heads == (0,)


def test_the_unused_are_the_most_units_whose_removal_is_surely_negligible() -> None:
    intervals = ((1, -0.009, 0.001), (2, -0.011, 0.001), (3, 0.001, 0.009), (4, 0.001, 0.011))
    steps = [Change(units=units, change=0.0, low=low, high=high) for units, low, high in intervals]
    assert SubsetUse(fingerprint="a", effects=(), together=tuple(steps)).unused == 3
    assert SubsetUse(fingerprint="a", effects=(), together=tuple(steps[3:])).unused == 0


def test_it_is_kept_beside_the_weights_it_was_measured_of(tmp_path, subset, use) -> None:
    assert SubsetUse.load(tmp_path, use.fingerprint) is None
    use.save(tmp_path)
    assert SubsetUse.load(tmp_path, use.fingerprint) == use
    with pytest.raises(ArtefactError, match="of other weights; measure it again"):
        SubsetUse.load(tmp_path, "b")
    with pytest.raises(ArtefactError, match="of another subset"):
        use.used(Subset.of(Routing(neurons=5, key_value_groups=1), LlamaConfig(num_hidden_layers=2)))


@pytest.mark.parametrize("name", [name for name in shipped_models() if Subset.is_in(shipped_model(name))])
def test_shipped_figures_are_of_the_shipped_weights(name: str) -> None:
    folder = shipped_model(name)
    subset = Subset.load(folder)
    use = SubsetUse.load(folder, load_model(folder).fingerprint)
    assert use is not None
    assert len(members(use.used(subset))) == len(use.effects) - use.unused
