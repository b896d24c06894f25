"""Tiny random models and a tokenizer."""

from __future__ import annotations

import pytest
from tiny_models import make_gpt2, make_llama
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

_TEXT = """Question: What is the largest of 3, 14 and 8?
Answer: The largest number is 14.
#### 14
def total(values):
    result = 0
    for value in values:
        result += value
    return result
The gardener gave the teacher a book because she wanted to read it in the garden. Ana has 12 apples and 7 pears.
"""


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([_TEXT] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|endoftext|>", pad_token="<|endoftext|>", model_max_length=128
    )


@pytest.fixture(scope="session", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return make_llama(len(tokenizer)) if request.param == "llama" else make_gpt2(len(tokenizer))


@pytest.fixture
def llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return make_llama(len(tokenizer))
