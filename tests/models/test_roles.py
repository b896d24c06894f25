import pytest
from architectures import CONFIGS, make_model

from codingspot.errors import StudyError
from codingspot.models import SCOPES, Role, role_of, unique_parameters


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_parameter_of_known_architectures_has_a_role(architecture: str) -> None:
    roles = {name: role_of(name) for name in unique_parameters(make_model(architecture, tied=False))}
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
