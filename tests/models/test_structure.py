from math import prod

import pytest
import torch
from architectures import CONFIGS, VOCABULARY, make_model
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM, GptOssConfig, GptOssForCausalLM

from codingspot.models import Part, describe, kinds_table, unique_parameters

MIXING = {"olmo2": ("q", "k")}
"""Kinds normalised over all heads at once, so that a head's gradient depends on the other heads."""


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_whose_output_is_dropped_gets_no_gradient_and_the_others_do(name: str) -> None:
    """Independent of any convention: the chain rule says which rows belong to a head of the output projection."""
    model = make_model(name, tied=False)
    structures = describe(model)
    groups = max(part.head for one in structures.values() for part in one.parts if part.kind == "v") + 1
    shared = 4 // groups
    group = groups - 1
    dropped = set(range(group * shared, (group + 1) * shared))
    with torch.no_grad():
        for key, parameter in unique_parameters(model).items():
            one = structures[key]
            if one.role.kind == "o" and one.input_axis is not None:
                assert one.parts_axis == one.input_axis
                for part in one.parts:
                    if part.head in dropped:
                        parameter.narrow(one.parts_axis, part.start, part.stop - part.start).zero_()
    ids = torch.randint(0, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(3))
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()

    seen = set()
    for key, parameter in unique_parameters(model).items():
        one = structures[key]
        if one.role.kind not in ("q", "k", "v", "qkv"):
            continue
        assert [(part.start, part.stop) for part in one.parts] == list(consecutive(one.parts))
        assert one.parts[-1].stop == one.shape[one.output_axis]
        for part in one.parts:
            silent = part.head in dropped if part.kind == "q" else part.head == group
            gradient = parameter.grad.narrow(one.parts_axis, part.start, part.stop - part.start)
            # A key's bias adds the same to every score of a query, which softmax ignores.
            if silent or not (part.kind == "k" and len(one.shape) == 1):
                assert bool(gradient.abs().max() < 1e-8) == (silent and part.kind not in MIXING.get(name, ())), part
            seen.add((one.role.layer, part.kind))
    assert seen == {(layer, kind) for layer in (0, 1) for kind in ("q", "k", "v")}


def consecutive(parts: tuple[Part, ...]) -> list[tuple[int, int]]:
    """Spans that begin where the one before ends."""
    spans, start = [], 0
    for part in parts:
        spans.append((start, part.stop))
        start = part.stop
    return spans


def test_fused_gate_and_up() -> None:
    gates = describe(make_model("phi3", tied=False))["model.layers.0.mlp.gate_up_proj.weight"]
    assert gates.parts == (Part("gate", None, 0, 24), Part("up", None, 24, 48))
    experts = describe(make_model("mixtral", tied=False))["model.layers.0.mlp.experts.gate_up_proj"]
    assert (experts.expert_axis, experts.output_axis, experts.input_axis, experts.parts_axis) == (0, 1, 2, 1)
    assert experts.parts == gates.parts


def test_conv1d_weights_have_their_inputs_first() -> None:
    gpt2 = describe(make_model("gpt2", tied=True))
    weight, bias = gpt2["transformer.h.0.attn.c_attn.weight"], gpt2["transformer.h.0.attn.c_attn.bias"]
    assert (weight.shape, weight.output_axis, weight.input_axis, weight.parts_axis) == ((16, 48), 1, 0, 1)
    assert (bias.output_axis, bias.input_axis, bias.parts) == (0, None, weight.parts)
    assert weight.parts[4] == Part("k", 0, 16, 20)
    assert weight.heads == {"q": 4, "k": 4, "v": 4}
    linear = describe(make_model("gpt-neo", tied=True))["transformer.h.0.mlp.c_fc.weight"]
    assert (linear.output_axis, linear.input_axis) == (0, 1)
    assert gpt2["transformer.wte.weight"].output_axis == 1


def test_grouped_query_key_value_by_hand() -> None:
    fused = describe(make_model("falcon-40b", tied=True))["transformer.h.0.self_attention.query_key_value.weight"]
    kinds = [(part.kind, part.head) for part in fused.parts]
    assert kinds == [("q", 0), ("q", 1), ("k", 0), ("v", 0), ("q", 2), ("q", 3), ("k", 1), ("v", 1)]


def test_layouts_that_are_not_known_have_no_parts() -> None:
    """Interleaved gates, and a fused matrix per head under a name that usually means another layout."""
    oss = GptOssForCausalLM(
        GptOssConfig(
            vocab_size=8,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
            num_local_experts=2,
            num_experts_per_tok=1,
        )
    )
    found = describe(oss)
    gates = found["model.layers.0.mlp.experts.gate_up_proj"]
    assert (gates.expert_axis, gates.input_axis, gates.output_axis, gates.parts) == (0, 1, 2, ())
    assert found["model.layers.0.mlp.experts.gate_up_proj_bias"].expert_axis == 0
    assert found["model.layers.0.self_attn.sinks"].role.kind == "other"
    code = GPTBigCodeForCausalLM(
        GPTBigCodeConfig(vocab_size=8, n_embd=8, n_layer=1, n_head=2, n_positions=8, multi_query=False)
    )
    assert describe(code)["transformer.h.0.attn.c_attn.weight"].parts == ()


def test_kinds_table_adds_up() -> None:
    model = make_model("qwen3-moe", tied=False)
    structures = describe(model)
    table = kinds_table(structures.values())
    assert table["parameters"].sum() == sum(prod(one.shape) for one in structures.values())
    assert table["share"].sum() == pytest.approx(1)
    assert list(table["block"].unique()) == ["embedding", "norm", "attention", "mlp", "head"]
    row = table.set_index("kind").loc["router"]
    assert (row["tensors"], row["parameters"], row["layers"]) == (1, 3 * 16, 1)
    assert table.set_index("kind").loc["q", "heads"] == "4"
    assert kinds_table(describe(make_model("gpt2", tied=True)).values()).set_index("kind").loc["qkv", "heads"] == (
        "q 4, k 4, v 4"
    )
