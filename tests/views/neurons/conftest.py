import random

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
)

from codingspot.corpus import Corpus, Domain
from codingspot.models import LoadedModel

VOCABULARY = 24
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 1,
    "bos_token_id": None,
    "eos_token_id": 1,
}


@pytest.fixture
def llama():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**_SIZES)).eval()


@pytest.fixture
def mixtral():
    torch.manual_seed(1)
    return MixtralForCausalLM(MixtralConfig(**_SIZES, num_local_experts=3, num_experts_per_tok=2)).eval()


@pytest.fixture
def phi3():
    torch.manual_seed(2)
    return Phi3ForCausalLM(Phi3Config(**_SIZES)).eval()


@pytest.fixture
def gpt2():
    torch.manual_seed(3)
    sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 24, "initializer_range": 0.3}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **sizes, bos_token_id=1, eos_token_id=1)).eval()


@pytest.fixture
def opt():
    """Its activation function is a child of the layer, not of a module for the MLP."""
    torch.manual_seed(4)
    sizes = {"hidden_size": 16, "ffn_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = OPTConfig(vocab_size=VOCABULARY, **sizes, max_position_embeddings=64, word_embed_proj_dim=16)
    return OPTForCausalLM(config).eval()


@pytest.fixture
def loaded(llama) -> LoadedModel:
    names = ["<unk>", "<eos>", *(f"w{index}" for index in range(VOCABULARY - 2))]
    words = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return LoadedModel(
        llama, PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>"), "tiny"
    )


def words(seed: int, first: int, last: int, texts: int = 12) -> tuple[str, ...]:
    """Random texts of some of the vocabulary's words."""
    draw = random.Random(seed)
    return tuple(" ".join(f"w{draw.randint(first, last)}" for _ in range(15)) for _ in range(texts))


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(
        "words",
        (
            Domain("go", "code", words(0, 0, 9)),
            Domain("rust", "code", words(1, 5, 14)),
            Domain("english", "general", words(2, 12, 21)),
        ),
    )
