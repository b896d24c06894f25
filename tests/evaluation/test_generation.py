"""Generation: where texts end, and what is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tiny_models import make_gpt2, make_llama
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from codingspot.errors import EvaluationError
from codingspot.evaluation.generation import Decoding, Generator, truncate_at_stop


@pytest.fixture
def generator(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Generator:
    return Generator(llama, tokenizer, max_batch_tokens=1000)


def _greedy(model: LlamaForCausalLM, prompt: list[int], count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        with torch.no_grad():
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def _bias_towards(model: LlamaForCausalLM, token: int) -> None:
    """Make the model answer anything with ``token``: its final states all point to it."""
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.fill_(1.0)
        model.lm_head.weight[token] = 1.0


def test_a_text_ends_before_its_first_stop_string() -> None:
    assert truncate_at_stop("a\ndef b\nclass c", ["\nclass", "\ndef"]) == "a"
    assert truncate_at_stop("abc", ["x", ""]) == "abc"


@pytest.mark.parametrize(("written", "ends"), [("```py\nx\n```\nmore", "```py\nx\n```\n"), ("```\nx\n", None)])
def test_a_text_ends_with_its_first_block(
    generator: Generator,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    ends: str | None,
) -> None:
    tokens = iter([*tokenizer.encode(written), *[tokenizer.encode("x")[0]] * 30])
    monkeypatch.setattr("codingspot.evaluation.generation._choose", lambda logits, *_: [next(tokens)])
    (completion,) = generator.generate([[1]], Decoding(max_new_tokens=20, one_block=True))
    if ends is None:
        assert completion.text.startswith(f"{written}x")
    else:
        assert ends.startswith(completion.text)
        assert completion.text.startswith("```py\nx\n```")


def test_greedy_text_equals_a_plain_loop(generator: Generator, tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = [tokenizer.encode(text) for text in ("Ana has", "def total(values):\n    result", "x")]
    completions = generator.generate(prompts, Decoding(max_new_tokens=20))
    for prompt, completion in zip(prompts, completions, strict=True):
        tokens = _greedy(generator.model, prompt, 20)
        end = tokens.index(0) if 0 in tokens else 20
        assert completion.text == tokenizer.decode(tokens[:end])
        assert completion.finite


def _few_shot(vocabulary: int) -> list[list[int]]:
    """Prompts of several lengths with 40 tokens in common, one of which is nothing else but one more."""
    drawn = torch.randint(1, vocabulary, (70,), generator=torch.Generator().manual_seed(0)).tolist()
    return [drawn[:41], [*drawn[:40], *drawn[50:59]], [*drawn[:40], *drawn[60:70], 5, 6]]


def _window(window: int) -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    return MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=window, initializer_range=0.3)).eval()


def _bloom() -> PreTrainedModel:
    torch.manual_seed(0)
    return BloomForCausalLM(
        BloomConfig(vocab_size=50, hidden_size=16, n_layer=2, n_head=2, initializer_range=0.3)
    ).eval()


@pytest.mark.parametrize(
    ("make", "read_once"),
    [
        (lambda: make_llama(50), True),
        (lambda: make_llama(50, attn_implementation="eager"), True),
        (lambda: make_gpt2(50), True),
        (_bloom, True),
        (lambda: _window(80), True),
        (lambda: _window(60), False),
    ],
    ids=["llama", "llama-eager", "gpt2", "bloom", "wide-window", "narrow-window"],
)
def test_what_all_prompts_begin_with_is_read_once(make, read_once, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make()
    prompts, decoding = _few_shot(50), Decoding(max_new_tokens=12)
    generator = Generator(model, tokenizer, max_batch_tokens=1000)
    assert generator.batching is not None  # tried before passes are counted
    passes: list[tuple[int, int]] = []
    model.get_input_embeddings().register_forward_hook(lambda _m, given, _o: passes.append(tuple(given[0].shape)))
    found = generator.generate(prompts, decoding)
    assert passes[:2] == ([(1, 40), (3, 12)] if read_once else [(3, 52), (3, 1)])
    alone = [Generator(model, tokenizer, max_batch_tokens=1000).generate([prompt], decoding)[0] for prompt in prompts]
    assert found == alone


def test_a_text_ends_at_the_end_of_text_token(generator: Generator) -> None:
    _bias_towards(generator.model, 0)
    assert [c.text for c in generator.generate([[5], [6, 7]], Decoding(max_new_tokens=9))] == ["", ""]


def test_a_stop_string_may_span_tokens(generator: Generator, tokenizer: PreTrainedTokenizerFast) -> None:
    token = tokenizer.encode("a")[0]
    _bias_towards(generator.model, token)
    assert generator.batching is not None  # tried before passes are counted
    calls = []
    handle = generator.model.register_forward_hook(lambda *_: calls.append(1))
    decoding = Decoding(max_new_tokens=50, stop=("aaa",))
    assert generator.generate([[5]], decoding)[0].text == ""
    handle.remove()
    assert len(calls) == 3  # it stopped as soon as the text held the string


def test_the_token_limit_holds(generator: Generator, tokenizer: PreTrainedTokenizerFast) -> None:
    _bias_towards(generator.model, tokenizer.encode("a")[0])
    assert generator.generate([[5]], Decoding(max_new_tokens=4))[0].text == "aaaa"


def test_rows_that_end_early_leave_the_others_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_llama(len(tokenizer))
    prompts = [tokenizer.encode(text) for text in ("Ana", "The teacher", "def", "values in", "x y z", "14", "a", "b")]
    decoding = Decoding(max_new_tokens=30, stop=("e", "o"))
    together = Generator(model, tokenizer, max_batch_tokens=100_000).generate(prompts, decoding)
    alone = Generator(model, tokenizer, max_batch_tokens=1).generate(prompts, decoding)
    assert together == alone
    assert len({len(completion.text) for completion in together}) > 2


def test_samples_follow_the_model_s_distribution(generator: Generator, tokenizer: PreTrainedTokenizerFast) -> None:
    """With two tokens of log-odds 1, temperature 0.5 makes the odds exp(2): 88% against 12%."""
    first, second = tokenizer.encode("a")[0], tokenizer.encode("b")[0]
    _bias_towards(generator.model, first)
    with torch.no_grad():
        width = generator.model.config.hidden_size
        generator.model.lm_head.weight[first] = 31 / width
        generator.model.lm_head.weight[second] = 30 / width
    texts = [c.text for c in generator.generate([[5]] * 600, Decoding(max_new_tokens=1, temperature=0.5))]
    counts = Counter(texts)
    assert counts["a"] + counts["b"] == 600
    assert counts["a"] / 600 == pytest.approx(0.881, abs=0.04)


def test_a_model_without_a_key_value_cache_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer), hidden_size=8, state_size=2, num_hidden_layers=1))
    with pytest.raises(EvaluationError, match="MambaForCausalLM has no key-value cache"):
        Generator(model, tokenizer, max_batch_tokens=100).generate([[5]], Decoding(max_new_tokens=2))
