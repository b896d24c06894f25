"""Models with recurrent state: batches, padding and shared beginnings change nothing, against one text at a time."""

from __future__ import annotations

import pytest
import torch
from hybrid_models import HYBRID, WITHOUT_CACHE, make_hybrid
from lm_eval.api.instance import Instance
from tiny_models import make_gpt2, make_llama
from transformers import MptConfig, MptForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from codingspot.corpus import Domain
from codingspot.errors import EvaluationError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.batch_support import PromptBatching, longest_shared_row, prompt_batching
from codingspot.evaluation.perplexity import HeldOutLoss

_EXAMPLES = "Question: What is the largest of 3, 14 and 8?\nAnswer: The largest number is 14.\n\n" * 2
_PROMPTS = [
    *(_EXAMPLES + end for end in ("The", "def total(values):", "Question: What is the largest of 12 and 7?\nAnswer:")),
    "Ana",
    "The gardener gave the teacher a book because",
]
_NEW_TOKENS = 12


def _mpt() -> PreTrainedModel:
    """Its linear biases count columns, so that padding behind a prefix moves the prefix away."""
    torch.manual_seed(0)
    return MptForCausalLM(MptConfig(vocab_size=400, d_model=32, n_heads=4, n_layers=2, initializer_range=0.3)).eval()


_GENERATING = {**{name: lambda name=name: make_hybrid(name) for name in HYBRID}, "mpt": _mpt}


def _log_probabilities(model: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].double().log_softmax(-1)


def _greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    tokens = tokenizer.encode(text)
    written: list[int] = []
    while len(written) < _NEW_TOKENS:
        token = int(_log_probabilities(model, tokens + written)[-1].argmax())
        if token == tokenizer.eos_token_id:
            break
        written.append(token)
    return tokenizer.decode(written)


def _plain(model: PreTrainedModel, tokens: list[int], start: int) -> float:
    found = _log_probabilities(model, tokens[:-1])
    return sum(found[i - 1, tokens[i]].item() for i in range(start, len(tokens)))


@pytest.mark.parametrize("name", _GENERATING)
def test_greedy_texts_equal_a_plain_loop(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    model = _GENERATING[name]()
    settings = {"until": [], "max_gen_toks": _NEW_TOKENS}
    requests = [Instance("generate_until", {}, (prompt, settings), 0) for prompt in _PROMPTS]
    texts = ModelAdapter(model, tokenizer).generate_until(requests)
    assert texts == [_greedy(model, tokenizer, prompt) for prompt in _PROMPTS]
    assert len(set(texts)) == len(texts)
    few_shot = ModelAdapter(model, tokenizer).generate_until(requests[:3])  # all begin with the examples
    assert few_shot == texts[:3]


@pytest.mark.parametrize("name", [*HYBRID, *WITHOUT_CACHE])
def test_log_likelihoods_and_losses_equal_a_plain_computation(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_hybrid(name)
    adapter = ModelAdapter(model, tokenizer)
    pairs = [(prompt, end) for prompt in _PROMPTS for end in (" 3", " The teacher wanted", " apples and pears in it")]
    found = adapter.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs])
    whole = [(tokenizer.encode(prompt + end), len(tokenizer.encode(prompt))) for prompt, end in pairs]
    assert [score for score, _ in found] == pytest.approx([_plain(model, *each) for each in whole], abs=5e-4)
    losses = HeldOutLoss(adapter, [Domain("english", "general", tuple(_PROMPTS))]).evaluate()
    expected = [-_plain(model, [0, *tokenizer.encode(prompt)], 1) for prompt in _PROMPTS]
    assert [loss.loss for loss in losses] == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("name", WITHOUT_CACHE)
def test_a_model_without_a_key_value_cache_is_refused(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    adapter = ModelAdapter(make_hybrid(name), tokenizer)
    with pytest.raises(EvaluationError, match="has no key-value cache to generate with"):
        adapter.generate([Instance("generate_until", {}, ("Ana", {"max_gen_toks": 2}), 0)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_model_allows_is_found_by_trying(dtype: torch.dtype) -> None:
    for model in (make_llama(), make_gpt2()):
        assert prompt_batching(model.to(dtype)) is PromptBatching.SHARED
        assert longest_shared_row(model, 128) == 128
    for name in HYBRID:
        model = make_hybrid(name).to(dtype)
        assert prompt_batching(model) < PromptBatching.SHARED, name
        assert longest_shared_row(model, 128) == 0, name
    assert prompt_batching(make_hybrid("minimax")) < PromptBatching.PADDED


@pytest.mark.parametrize(("batching", "sizes"), [(PromptBatching.ALONE, [1, 1, 1]), (PromptBatching.EQUAL, [2, 1])])
def test_prompts_of_equal_length_may_share_a_batch(
    batching: PromptBatching, sizes: list[int], tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codingspot.evaluation.generation.prompt_batching", lambda _model: batching)
    model, rows = make_llama(400), []
    adapter = ModelAdapter(model, tokenizer)
    handle = model.get_input_embeddings().register_forward_hook(lambda _m, given, _o: rows.append(len(given[0])))
    settings = {"until": [], "max_gen_toks": 1}
    adapter.generate_until([Instance("generate_until", {}, (text, settings), 0) for text in ("a", "b a b", "b")])
    handle.remove()
    assert rows == sizes
    settings["max_gen_toks"] = _NEW_TOKENS
    texts = adapter.generate_until([Instance("generate_until", {}, (text, settings), 0) for text in _PROMPTS])
    assert texts == [_greedy(model, tokenizer, prompt) for prompt in _PROMPTS]
