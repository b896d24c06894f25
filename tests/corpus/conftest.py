import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = ("<unk>", "<eos>", "a", "b", "c", "d", "e", "f")


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; <eos> is 1, a is 2, and so on."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
