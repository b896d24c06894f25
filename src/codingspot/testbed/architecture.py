"""Architectures the testbed can be trained as, each the real one from transformers at a small size."""

from __future__ import annotations

from typing import Literal

from transformers import (
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

Architecture = Literal["llama", "gpt_neo"]


def build_model(
    architecture: Architecture,
    *,
    hidden_size: int,
    layers: int,
    heads: int,
    key_value_heads: int,
    mlp_size: int,
    vocabulary_size: int,
    context: int,
    end_of_text: int,
) -> PreTrainedModel:
    """A freshly initialised model; initialisation draws from torch's global generator, seeded by the caller.

    GPT-Neo has no grouped queries, so ``key_value_heads`` is used by Llama alone.
    """
    if architecture == "llama":
        llama = LlamaConfig(
            hidden_size=hidden_size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=key_value_heads,
            intermediate_size=mlp_size,
            vocab_size=vocabulary_size,
            max_position_embeddings=context,
            tie_word_embeddings=False,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
            pad_token_id=end_of_text,
        )
        return LlamaForCausalLM(llama)
    neo = GPTNeoConfig(
        hidden_size=hidden_size,
        num_layers=layers,
        num_heads=heads,
        intermediate_size=mlp_size,
        attention_types=[[["global", "local"], layers // 2], [["global"], layers % 2]],
        vocab_size=vocabulary_size,
        max_position_embeddings=context,
        resid_dropout=0.0,
        embed_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        pad_token_id=end_of_text,
    )
    return GPTNeoForCausalLM(neo)
