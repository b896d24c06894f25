import random
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.corpus import Corpus, Domain
from codingspot.models import LoadedModel

VOCABULARY = 24


class Bigram(nn.Module):
    """A language model whose gradient is known by hand: the logits after token i are row i of ``table``."""

    def __init__(self, table: list[list[float]]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor(table))

    def forward(self, input_ids: Tensor, use_cache: bool) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


@pytest.fixture
def bigram():
    return Bigram


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=32,
        )
    ).eval()


@pytest.fixture
def gpt2() -> GPT2LMHeadModel:
    """Tied embeddings, Conv1D matrices, and dropout."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1
        )
    )


@pytest.fixture
def loaded(llama) -> LoadedModel:
    names = ["<unk>", "<eos>", *(f"w{index}" for index in range(VOCABULARY - 2))]
    words = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    return LoadedModel(llama, tokenizer, "tiny", "r1")


@pytest.fixture
def corpus() -> Corpus:
    draw = random.Random(0)

    def texts() -> tuple[str, ...]:
        return tuple(" ".join(f"w{draw.randrange(VOCABULARY - 2)}" for _ in range(9)) for _ in range(40))

    return Corpus(
        "words",
        (
            Domain("C#", "code", texts()),
            Domain("Rust", "code", texts()),
            Domain("Python", "code", texts(), held_out=True),
            Domain("English", "general", texts()),
        ),
    )
