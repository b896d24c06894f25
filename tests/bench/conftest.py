"""A random model small enough to be looked at unit by unit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM


@pytest.fixture(scope="session")
def make_llama() -> Callable[..., LlamaForCausalLM]:
    def make(**changes: Any) -> LlamaForCausalLM:
        torch.manual_seed(0)
        sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
        return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, **changes)).eval()

    return make
