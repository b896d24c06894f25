import numpy as np
import pytest
import torch
from torch import nn

from codingspot.errors import ArtefactError, NonFiniteError
from codingspot.views.neurons.counting import ActivationCounts, count_activations, load_parts, save_parts
from codingspot.views.neurons.sites import find_sites

TOKENS = torch.randint(0, 24, (7, 11), generator=torch.Generator().manual_seed(5))


def captured_inputs(model, modules):
    """What went into some modules, computed by hooks of the test's own."""
    found = {}
    for name in modules:
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _m, args, _out, name=name: found.__setitem__(name, args[0].detach()))
    with torch.no_grad():
        model(TOKENS)
    for name in modules:
        model.get_submodule(name)._forward_hooks.clear()
    return found


def test_a_gated_neuron_is_active_where_its_gate_is_positive(llama):
    inputs = captured_inputs(llama, [f"model.layers.{layer}.mlp.gate_proj" for layer in (0, 1)])
    expected = [
        (nn.functional.linear(x, llama.get_submodule(name).weight) > 0).flatten(0, 1).sum(0)
        for name, x in inputs.items()
    ]
    (counts,) = count_activations(llama, find_sites(llama), "go", TOKENS)
    assert counts.active[:, 0].tolist() == torch.cat(expected).tolist()
    assert counts.tokens.tolist() == [77]


def test_a_plain_neuron_is_active_where_its_activation_is_positive(gpt2):
    inputs = captured_inputs(gpt2, [f"transformer.h.{layer}.mlp.c_proj" for layer in (0, 1)])
    expected = [(x > 0).flatten(0, 1).sum(0) for x in inputs.values()]
    (counts,) = count_activations(gpt2, find_sites(gpt2), "go", TOKENS)
    assert counts.active[:, 0].tolist() == torch.cat(expected).tolist()


def test_a_fused_gate_is_the_first_half(phi3):
    inputs = captured_inputs(phi3, [f"model.layers.{layer}.mlp.gate_up_proj" for layer in (0, 1)])
    expected = [
        (nn.functional.linear(x, phi3.get_submodule(name).weight)[..., :24] > 0).flatten(0, 1).sum(0)
        for name, x in inputs.items()
    ]
    (counts,) = count_activations(phi3, find_sites(phi3), "go", TOKENS)
    assert counts.active[:, 0].tolist() == torch.cat(expected).tolist()


def test_an_expert_counts_the_tokens_routed_to_it(mixtral):
    blocks = {layer: mixtral.model.layers[layer].mlp for layer in (0, 1)}
    inputs = captured_inputs(mixtral, [f"model.layers.{layer}.mlp" for layer in blocks])
    expected = []
    for (_, x), block in zip(inputs.items(), blocks.values(), strict=True):
        flat = x.flatten(0, 1)
        with torch.no_grad():
            chosen = block.gate(flat)[2]
        for expert in range(3):
            mine = flat[(chosen == expert).any(1)]
            expected.append((nn.functional.linear(mine, block.experts.gate_up_proj[expert, :24]) > 0).sum(0))
    (counts,) = count_activations(mixtral, find_sites(mixtral), "go", TOKENS)
    assert counts.active[:, 0].tolist() == torch.cat(expected).tolist()
    assert counts.tokens.tolist() == [77]


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "phi3", "mixtral"])
def test_batches_parts_and_padding_change_nothing(name, request):
    model = request.getfixturevalue(name).double()
    layout = find_sites(model)
    (one,) = count_activations(model, layout, "go", TOKENS, batch_tokens=1)
    (sixteen,) = count_activations(model, layout, "go", TOKENS, batch_tokens=16 * 11)
    parts = count_activations(model, layout, "go", TOKENS, batch_tokens=33, parts=3)
    padded = torch.cat([TOKENS, torch.full((7, 5), 9)], dim=1)
    mask = torch.arange(16)[None, :].expand(7, 16) < 11
    (masked,) = count_activations(model, layout, "go", padded, mask=mask, batch_tokens=48)
    assert [part.tokens.item() for part in parts] == [22, 33, 22]
    for other in (sixteen, sum(parts[1:], parts[0]), masked):
        assert np.array_equal(one.active, other.active)
        assert one.tokens.tolist() == other.tokens.tolist()


def test_counts_of_other_domains_are_not_added():
    one = ActivationCounts(("go",), np.zeros((4, 1), np.int64), np.array([2]))
    other = ActivationCounts(("rust",), np.zeros((4, 1), np.int64), np.array([2]))
    with pytest.raises(ArtefactError, match="other domains"):
        one + other
    beside = ActivationCounts.side_by_side([one, other])
    assert beside.domains == ("go", "rust")
    assert beside.active.shape == (4, 2)


def test_parts_are_read_back(tmp_path):
    parts = [
        ActivationCounts(("C#",), np.array([[3], [0]]), np.array([5])),
        ActivationCounts(("C#",), np.array([[1], [2]]), np.array([4])),
    ]
    save_parts(parts, tmp_path / "counts.safetensors")
    read = load_parts(tmp_path / "counts.safetensors")
    assert [part.active.tolist() for part in read] == [[[3], [0]], [[1], [2]]]
    assert [part.tokens.tolist() for part in read] == [[5], [4]]
    assert read[0].domains == ("C#",)
    (tmp_path / "counts.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match=r"counts\.safetensors is missing or corrupt"):
        load_parts(tmp_path / "counts.safetensors")


def test_a_model_that_gives_no_numbers_is_refused(llama):
    layout = find_sites(llama)
    with torch.no_grad():
        llama.model.layers[0].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="hidden states on 'go'"):
        count_activations(llama, layout, "go", TOKENS)
