import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from codingspot.models import LoadedModel

WORDS = (
    "<unk>",
    "<eos>",
    ":",
    ";",
    "Java",
    "Go",
    "class",
    "Ġclass",
    "func",
    "for",
    "Ġfor",
    "the",
    "Ġthe",
    "x",
    "y",
    "z",
)
_SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<unk>",
        eos_token="<eos>",
        model_max_length=64,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**_SIZES)).eval()
    with torch.no_grad():  # a norm that is not the identity can be told from none
        model.model.norm.weight.copy_(torch.linspace(0.5, 2, 16))
    return model


@pytest.fixture
def gemma2() -> Gemma2ForCausalLM:
    """Its logits are soft-capped after the head."""
    torch.manual_seed(1)
    return Gemma2ForCausalLM(Gemma2Config(**_SIZES, head_dim=4, final_logit_softcapping=3.0)).eval()


@pytest.fixture
def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(2)
    sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), **sizes, bos_token_id=1, eos_token_id=1)).eval()


@pytest.fixture
def loaded(llama, tokenizer) -> LoadedModel:
    return LoadedModel(llama, tokenizer, "tiny")
