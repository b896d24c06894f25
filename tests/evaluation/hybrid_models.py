"""Tiny random models with a recurrent state or a convolution, alone or beside attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from transformers import (
    AutoModelForCausalLM,
    BambaConfig,
    FalconH1Config,
    GraniteMoeHybridConfig,
    JambaConfig,
    Lfm2Config,
    Mamba2Config,
    MambaConfig,
    MiniMaxConfig,
    NemotronHConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3NextConfig,
    RecurrentGemmaConfig,
    RwkvConfig,
    Zamba2Config,
    ZambaConfig,
)

_STATE = {"vocab_size": 400, "hidden_size": 32, "initializer_range": 0.3, "pad_token_id": 0, "eos_token_id": 0}
_ATTENTION = {**_STATE, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
_FOUR = {**_ATTENTION, "num_hidden_layers": 4}
_LINEAR = {"layer_types": ["linear_attention", "full_attention"] * 2, "head_dim": 8}
_SCAN = {"mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 16}
_TWO_EXPERTS = {"num_experts_per_tok": 1, "num_local_experts": 2}

_CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "jamba": partial(
        JambaConfig,
        **_FOUR,
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        num_experts_per_tok=1,
        mamba_d_state=8,
        mamba_dt_rank=4,
    ),
    "lfm2": partial(Lfm2Config, **_FOUR, layer_types=["conv", "full_attention"] * 2, block_multiple_of=16),
    "falcon-h1": partial(FalconH1Config, **_FOUR, **_SCAN, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8),
    "qwen3-next": partial(
        Qwen3NextConfig,
        **_FOUR,
        **_LINEAR,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        num_experts=2,
        num_experts_per_tok=1,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
    ),
    "bamba": partial(BambaConfig, **_FOUR, **_SCAN, mamba_n_heads=4, mamba_d_head=16, attn_layer_indices=[1, 3]),
    "granite-hybrid": partial(
        GraniteMoeHybridConfig,
        **_FOUR,
        **_SCAN,
        **_TWO_EXPERTS,
        layer_types=["mamba", "attention"] * 2,
        mamba_n_heads=4,
        mamba_d_head=16,
        shared_intermediate_size=16,
    ),
    "minimax": partial(MiniMaxConfig, **_FOUR, **_LINEAR, **_TWO_EXPERTS, block_size=16),
    "nemotron-h": partial(
        NemotronHConfig,
        **_ATTENTION,
        head_dim=8,
        layers_block_type=["mamba", "attention", "mlp", "mamba"],
        mamba_num_heads=8,
        mamba_head_dim=8,
        ssm_state_size=8,
        n_groups=1,
        chunk_size=16,
    ),
    "zamba": partial(
        ZambaConfig,
        **{**_FOUR, "num_key_value_heads": 4},
        layers_block_type=["mamba", "hybrid"] * 2,
        mamba_d_state=8,
        mamba_dt_rank=4,
    ),
    "zamba2": partial(
        Zamba2Config,
        **{**_FOUR, "num_key_value_heads": 4},
        layers_block_type=["mamba", "hybrid"] * 2,
        mamba_d_state=8,
        mamba_headdim=8,
        n_mamba_heads=8,
        mamba_ngroups=1,
        chunk_size=16,
    ),
    "mamba": partial(MambaConfig, **_STATE, state_size=8, num_hidden_layers=2),
    "mamba2": partial(
        Mamba2Config, **_STATE, state_size=8, num_hidden_layers=2, num_heads=8, head_dim=8, n_groups=1, chunk_size=16
    ),
    "recurrent-gemma": partial(
        RecurrentGemmaConfig, **_ATTENTION, num_hidden_layers=3, lru_width=32, attention_window_size=128
    ),
    "rwkv": partial(RwkvConfig, vocab_size=400, hidden_size=32, num_hidden_layers=2, context_length=256),
}
WITHOUT_CACHE = ("mamba", "mamba2", "recurrent-gemma", "rwkv")
"""Those that return no key-value cache, so that they can be scored but not generate."""
HYBRID = tuple(name for name in _CONFIGS if name not in WITHOUT_CACHE)


def make_hybrid(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(_CONFIGS[name]()).eval()
    return model
