"""The adapter gives what lm-eval's own Hugging Face model gives, and what one-by-one computation gives."""

from __future__ import annotations

import logging

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from codingspot.errors import EvaluationError
from codingspot.evaluation.adapter import ModelAdapter

logging.getLogger("lm_eval").setLevel(logging.ERROR)

_QUESTIONS = [
    ("Question: What is the largest of 3, 14 and 8?\nAnswer:", [" 3", " 14", " 8", " 1"]),
    ("Question: What is the largest of 3 and 8?\nAnswer:", [" 3", " 8 and 3"]),
    ("The gardener gave the teacher a book because ", ["she wanted to read it", "the garden", "it"]),
    ("def total(values):\n    result = 0\n", ["    return result", "print(total([1, 2]))"]),
    ("", ["Ana has 12 apples", "The teacher", " pears"]),
    ("<|endoftext|>Ana has", [" 12 apples", " 7 pears and 12 apples."]),
    ("word " * 150, ["apples", "the garden and the book"]),
    ("The teacher\n", ["\n", " \n  x"]),
]
_PAIRS = [(context, choice) for context, choices in _QUESTIONS for choice in choices]
_TEXTS = ["Ana has 12 apples and 7 pears.", "x", "values in the garden " * 60]
_STOPS = [
    {"until": ["\n"], "max_gen_toks": 12, "do_sample": False},
    {"until": ["zz", " the"], "max_gen_toks": 20},
    {"until": [], "max_gen_toks": 30, "temperature": 0.0},
]


def _scored(pairs: list[tuple[str, str]]) -> list[Instance]:
    return [Instance("loglikelihood", {}, pair, 0) for pair in pairs]


def _prompts() -> list[Instance]:
    contexts = [context for context, _ in _QUESTIONS if context]
    return [
        Instance("generate_until", {}, (context, dict(_STOPS[i % len(_STOPS)])), 0)
        for i, context in enumerate(contexts * 3)
    ]


@pytest.fixture
def hflm(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> HFLM:
    # HFLM's cache of logits misaligns two requests whose tokens agree but whose contexts end at different tokens.
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1, logits_cache=False)


@pytest.fixture
def adapter(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> ModelAdapter:
    return ModelAdapter(model, tokenizer)


def test_both_architectures_share_prefixes(adapter: ModelAdapter) -> None:
    assert adapter.max_shared_row == 128


def test_loglikelihoods_equal_those_of_hflm(adapter: ModelAdapter, hflm: HFLM) -> None:
    ours = adapter.loglikelihood(_scored(_PAIRS))
    theirs = hflm.loglikelihood(_scored(_PAIRS), disable_tqdm=True)
    assert [x for x, _ in ours] == pytest.approx([x for x, _ in theirs], abs=1e-4)
    assert [x for _, x in ours] == [x for _, x in theirs]


def test_rolling_loglikelihoods_equal_those_of_hflm(adapter: ModelAdapter, hflm: HFLM) -> None:
    requests = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in _TEXTS]
    theirs = hflm.loglikelihood_rolling(requests, disable_tqdm=True)
    assert adapter.loglikelihood_rolling(requests) == pytest.approx(theirs, abs=2e-3)


def test_greedy_texts_equal_those_of_hflm(adapter: ModelAdapter, hflm: HFLM) -> None:
    ours = adapter.generate_until(_prompts())
    assert ours == hflm.generate_until(_prompts(), disable_tqdm=True)
    assert len(set(ours)) > 3


def test_loglikelihoods_equal_a_plain_computation(
    adapter: ModelAdapter, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    context, choice = "The gardener gave the teacher", " a book"
    tokens, start = tokenizer.encode(context + choice), len(tokenizer.encode(context))
    log_probabilities = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    expected = sum(log_probabilities[i - 1, tokens[i]].item() for i in range(start, len(tokens)))
    assert adapter.loglikelihood(_scored([(context, choice)]))[0][0] == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def one_by_one(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> tuple[list[tuple[float, bool]], list[str]]:
    adapter = ModelAdapter(model, tokenizer, batch_tokens=1, cache_tokens=1, share_prefixes=False)
    return adapter.loglikelihood(_scored(_PAIRS)), adapter.generate_until(_prompts())


@pytest.mark.parametrize("batch_tokens", [1, 40, 300, 100_000])
@pytest.mark.parametrize("share", [False, True])
def test_results_do_not_depend_on_batches(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    one_by_one: tuple[list[tuple[float, bool]], list[str]],
    batch_tokens: int,
    share: bool,
) -> None:
    other = ModelAdapter(
        model, tokenizer, batch_tokens=batch_tokens, cache_tokens=4 * batch_tokens, share_prefixes=share
    )
    (expected, texts), found = one_by_one, other.loglikelihood(_scored(_PAIRS))
    assert [x for x, _ in found] == pytest.approx([x for x, _ in expected], abs=1e-4)
    assert [x for _, x in found] == [x for _, x in expected]
    assert other.generate_until(_prompts()) == texts


def test_sampled_texts_do_not_depend_on_batches_and_follow_the_seed(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    settings = {"until": ["\n"], "max_gen_toks": 16, "do_sample": True, "temperature": 0.8}
    requests = [Instance("generate_until", {}, ("Ana has", settings), 0) for _ in range(6)]
    one_by_one = ModelAdapter(model, tokenizer, cache_tokens=1)
    together = ModelAdapter(model, tokenizer)
    texts = [completion.text for completion in together.generate(requests, seed=3)]
    assert texts == [completion.text for completion in one_by_one.generate(requests, seed=3)]
    assert len(set(texts)) > 1
    assert texts != [completion.text for completion in together.generate(requests, seed=4)]


def test_a_remembered_plan_sees_edited_weights(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    adapter = ModelAdapter(llama, tokenizer)
    before = adapter.loglikelihood(_scored(_PAIRS))
    weight = llama.model.layers[0].mlp.down_proj.weight
    saved = weight.detach().clone()
    with torch.no_grad():
        weight.zero_()
    assert adapter.loglikelihood(_scored(_PAIRS)) != before
    with torch.no_grad():
        weight.copy_(saved)
    assert adapter.loglikelihood(_scored(_PAIRS)) == before


def test_logits_that_are_not_numbers_give_minus_infinity_and_end_a_text(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    adapter = ModelAdapter(llama, tokenizer)
    with torch.no_grad():
        llama.lm_head.weight.fill_(torch.nan)
    assert adapter.loglikelihood(_scored([("Ana", " has")])) == [(-torch.inf, False)]
    completion = adapter.generate([Instance("generate_until", {}, ("Ana", dict(_STOPS[0])), 0)])[0]
    assert completion.text == ""
    assert not completion.finite


def test_what_cannot_be_evaluated_is_refused(adapter: ModelAdapter) -> None:
    with pytest.raises(EvaluationError, match="adds no token"):
        adapter.loglikelihood(_scored([("Ana", "")]))
    with pytest.raises(EvaluationError, match="200 tokens and the model reads 128"):
        adapter.generate([Instance("generate_until", {}, ("Ana", {"max_gen_toks": 200}), 0)])
    settings = {"do_sample": True, "temperature": 1.0, "top_p": 0.9}
    with pytest.raises(EvaluationError, match="top_p"):
        adapter.generate([Instance("generate_until", {}, ("Ana", settings), 0)])
