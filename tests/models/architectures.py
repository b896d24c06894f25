"""Tiny random models of every architecture that is supported by name, and a tokenizer for them."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

VOCABULARY = 48
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
_WIDE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    **_SPECIAL,
}
_GROUPED = {**_WIDE, "num_key_value_heads": 2}
_HEADED = {**_GROUPED, "head_dim": 8}
_GPT2 = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 128, **_SPECIAL}
_NEO = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 8,
    "max_position_embeddings": 128,
    **_SPECIAL,
}
_FALCON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    **_SPECIAL,
}
_EXPERTS = {"num_experts_per_tok": 2, "output_router_logits": False}

CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**_GROUPED),
    "mistral": MistralConfig(**_HEADED, sliding_window=16),
    "qwen2": Qwen2Config(**_GROUPED),
    "qwen3": Qwen3Config(**_HEADED),
    "gemma2": Gemma2Config(**_HEADED, sliding_window=16),
    "gemma3": Gemma3TextConfig(**_HEADED, sliding_window=16),
    "phi3": Phi3Config(**_GROUPED),
    "olmo2": Olmo2Config(**_GROUPED),
    "gpt2": GPT2Config(**_GPT2),
    "gpt-neo": GPTNeoConfig(**_NEO),
    "gpt-neox": GPTNeoXConfig(**_WIDE),
    "falcon-7b": FalconConfig(**_FALCON, multi_query=True, new_decoder_architecture=False),
    "falcon-40b": FalconConfig(**_FALCON, num_kv_heads=2, new_decoder_architecture=True),
    "falcon-rw": FalconConfig(**_FALCON, multi_query=False, new_decoder_architecture=False, alibi=True, bias=True),
    "mixtral": MixtralConfig(**_GROUPED, num_local_experts=3, **_EXPERTS),
    "qwen3-moe": Qwen3MoeConfig(**_HEADED, num_experts=3, moe_intermediate_size=12, mlp_only_layers=[0], **_EXPERTS),
}
"""One configuration a name: two layers, four heads, no dropout."""


def make_model(name: str, *, tied: bool) -> PreTrainedModel:
    """A random model, the same every time."""
    config = type(CONFIGS[name])(**{**CONFIGS[name].to_dict(), "tie_word_embeddings": tied, "initializer_range": 0.2})
    state = torch.get_rng_state()
    torch.manual_seed(0)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    finally:
        torch.set_rng_state(state)
    return model


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words ``w0``, ``w1``, ... and an end-of-text token."""
    names = ["<pad>", "<|endoftext|>", *(f"w{index}" for index in range(VOCABULARY - 2))]
    words = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
