import pytest
import torch
from transformers import LlamaForCausalLM

from codingspot.errors import ModelError
from codingspot.views.neurons.sites import find_sites


@pytest.mark.parametrize(("name", "experts"), [("llama", 1), ("gpt2", 1), ("opt", 1), ("phi3", 1), ("mixtral", 3)])
def test_every_mlp_is_found(name, experts, request):
    layout = find_sites(request.getfixturevalue(name))
    assert [(site.layer, site.experts, site.width) for site in layout.sites] == [(0, experts, 24), (1, experts, 24)]
    assert layout.total == 2 * experts * 24
    assert layout.layers.tolist() == [0] * experts * 24 + [1] * experts * 24
    assert layout.indices.max() == 23
    assert layout.experts.max() == experts - 1


def test_neurons_of_a_site_are_counted_from_its_first(llama):
    layout = find_sites(llama)
    assert layout.of_site(1, torch.tensor([30, 3, 24]).numpy()).tolist() == [0, 6]


def test_a_model_without_activation_functions_is_refused(llama: LlamaForCausalLM):
    for layer in llama.model.layers:
        layer.mlp.act_fn = torch.nn.Identity()
    with pytest.raises(ModelError, match="no MLP neurons were found in LlamaForCausalLM"):
        find_sites(llama)


def test_finding_neurons_leaves_no_hook_behind(mixtral):
    before = mixtral.config._experts_implementation
    find_sites(mixtral)
    assert mixtral.config._experts_implementation == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in mixtral.modules())
