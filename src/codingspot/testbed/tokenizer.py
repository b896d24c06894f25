"""The testbed's tokenizer: byte-level BPE whose pieces programs and English can share.

Words are split where a capital begins ("pickItems" gives "pick" and "Items"), digits stand alone, punctuation is
merged at most in pairs, and a newline keeps the indentation that follows it. So a program's text is made largely of
pieces that English text uses too, and separating the two is not a matter of vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"

_PIECES = Regex(r"\r?\n *| ?[A-Z]?[a-z]+| ?[A-Z]+|\d| ?[^\sA-Za-z\d]{1,2}|\s")


def train_tokenizer(texts: Iterable[str], *, vocabulary_size: int, context: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer on ``texts``; ``context`` is the model's maximum length in tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
