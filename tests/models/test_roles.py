import pytest
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    Phi3Config,
    Qwen3Config,
)

from codingspot.errors import StudyError
from codingspot.models import SCOPES, Role, role_of, unique_parameters

WIDE = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "vocab_size": 16,
    "pad_token_id": 0,
}
CONFIGS = {
    "llama": LlamaConfig(**WIDE),
    "qwen3": Qwen3Config(**WIDE),
    "phi3": Phi3Config(**WIDE, eos_token_id=1, bos_token_id=1),
    "mixtral": MixtralConfig(**WIDE, num_local_experts=2),
    "gpt2": GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=16, n_positions=8, eos_token_id=1, bos_token_id=1),
    "gpt-neo": GPTNeoConfig(
        hidden_size=8, num_layers=2, num_heads=2, vocab_size=16, attention_types=[[["global", "local"], 1]]
    ),
    "gpt-neox": GPTNeoXConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=16
    ),
    "falcon": FalconConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, vocab_size=16),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_parameter_of_known_architectures_has_a_role(config) -> None:
    roles = {name: role_of(name) for name in unique_parameters(AutoModelForCausalLM.from_config(config))}
    assert [name for name, role in roles.items() if role.kind == "other" or role.block == "other"] == []
    assert {role.layer for role in roles.values()} == {None, 0, 1}
    for name, role in roles.items():
        assert (role.block in ("attention", "mlp")) <= (role.layer is not None), name
    inside = {role.kind for role in roles.values() if role.block in ("attention", "mlp")}
    assert {"q", "k", "v"} <= inside or "qkv" in inside
    assert {"o", "down"} <= inside
    assert inside & {"up", "gate_up"}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.embed_tokens.weight", Role(None, "embedding", "embedding")),
        ("lm_head.weight", Role(None, "head", "head")),
        ("model.norm.weight", Role(None, "norm", "norm")),
        ("model.layers.11.self_attn.k_proj.bias", Role(11, "attention", "k")),
        ("model.layers.0.self_attn.q_norm.weight", Role(0, "norm", "norm")),
        ("model.layers.3.mlp.gate_proj.weight", Role(3, "mlp", "gate")),
        ("model.layers.3.mlp.gate.weight", Role(3, "mlp", "router")),
        ("model.layers.3.mlp.experts.gate_up_proj", Role(3, "mlp", "gate_up")),
        ("transformer.h.2.attn.c_proj.weight", Role(2, "attention", "o")),
        ("transformer.h.2.mlp.c_proj.weight", Role(2, "mlp", "down")),
        ("transformer.h.2.ln_1.bias", Role(2, "norm", "norm")),
        ("transformer.wpe.weight", Role(None, "embedding", "position")),
        ("gpt_neox.layers.5.attention.dense.weight", Role(5, "attention", "o")),
        ("backbone.layers.4.mixer.A_log", Role(4, "other", "other")),
        ("something.else", Role(None, "other", "other")),
        ("", Role(None, "other", "other")),
    ],
)
def test_role(name: str, role: Role) -> None:
    assert role_of(name) == role


def test_scopes() -> None:
    names = {
        "k": "model.layers.0.self_attn.k_proj.bias",
        "up": "model.layers.0.mlp.up_proj.weight",
        "norm": "model.layers.0.input_layernorm.weight",
        "last norm": "model.norm.weight",
        "embedding": "model.embed_tokens.weight",
        "head": "lm_head.weight",
        "position": "transformer.wpe.weight",
    }
    found = {scope: {key for key, name in names.items() if SCOPES[scope](role_of(name))} for scope in SCOPES}
    assert found == {
        "all": set(names),
        "blocks": {"k", "up"},
        "layers": {"k", "up", "norm"},
        "vocabulary": {"embedding", "head"},
        "norms": {"norm", "last norm"},
        "mlp": {"up"},
        "attention": {"k"},
    }
    with pytest.raises(StudyError, match="unknown scope 'block'; use one of all, blocks"):
        SCOPES["block"]
