import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.models import LoadedModel, ParameterLayout, fingerprint
from codingspot.spot import Spot


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=24,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).eval()


@pytest.fixture
def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=24, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1)
    ).eval()


@pytest.fixture
def make_loaded():
    """A model with a tokenizer of 24 words, most of them unknown to it."""

    def make(model) -> LoadedModel:
        words = ["<unk>", "the", "a", "b", "def", "return", "is", "of", ".", "(", ")", ",", "add", "over", "dog", "fox"]
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
        return LoadedModel(model, fast, "tiny")

    return make


@pytest.fixture
def make_spot():
    """A spot of n random positions of a model, in random order, that knows the model's weights."""

    def make(model, n: int, seed: int = 0) -> Spot:
        layout = ParameterLayout.of(model)
        positions = torch.randperm(layout.total, generator=torch.Generator().manual_seed(seed))[:n]
        metadata = {"model": {"fingerprint": fingerprint(model)}, "scope": "all"}
        return Spot(positions, torch.arange(n, 0, -1).float(), layout, metadata)

    return make
