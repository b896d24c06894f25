"""Log-likelihoods of continuations, with and without shared prefixes."""

from __future__ import annotations

import pytest
import torch
from tiny_models import make_gpt2, make_llama
from torch import nn
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from codingspot.evaluation.batch_support import longest_shared_row
from codingspot.evaluation.likelihood import Continuation, head_at, log_likelihoods, plan

_VOCABULARY = 50
_SIZES = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
    "sliding_window": 80,
}


def _gemma2() -> PreTrainedModel:
    """Its logits are soft-capped, its attention is eager and local in every other layer."""
    return Gemma2ForCausalLM(Gemma2Config(**_SIZES, final_logit_softcapping=5.0)).eval()


def _gpt_neo() -> PreTrainedModel:
    config = GPTNeoConfig(
        vocab_size=_VOCABULARY,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=80,
        max_position_embeddings=128,
        initializer_range=0.3,
    )
    return GPTNeoForCausalLM(config).eval()


def _mistral(window: int) -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**{**_SIZES, "sliding_window": window})).eval()


def _bloom() -> PreTrainedModel:
    """Its positions are linear biases, which prefix trees can't be given."""
    config = BloomConfig(vocab_size=_VOCABULARY, hidden_size=16, n_layer=2, n_head=2, initializer_range=0.3)
    return BloomForCausalLM(config).eval()


_CASES = {
    "llama": (lambda: make_llama(_VOCABULARY), 128),
    "llama-eager": (lambda: make_llama(_VOCABULARY, attn_implementation="eager"), 128),
    "gpt2": (lambda: make_gpt2(_VOCABULARY), 128),
    "gpt-neo": (_gpt_neo, 80),
    "gemma2": (_gemma2, 80),
    "mistral": (lambda: _mistral(80), 80),
    "mistral-short-window": (lambda: _mistral(8), 0),
    "bloom": (_bloom, 0),
}


def _continuations() -> list[Continuation]:
    """Four questions with three endings each, and one sequence longer than any window."""
    generator = torch.Generator().manual_seed(5)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(_VOCABULARY, (count,), generator=generator).tolist())

    found = []
    for length in (1, 4, 9, 20):
        context = draw(length)
        found += [Continuation(context + draw(size), length, len(found) + i) for i, size in enumerate((1, 3, 5))]
    return [*found, Continuation(draw(100), 60, len(found))]


def _one_by_one(model: PreTrainedModel, continuation: Continuation) -> float:
    with torch.no_grad():
        log_probabilities = model(torch.tensor([continuation.inputs])).logits[0].double().log_softmax(-1)
    places = range(continuation.start, len(continuation.tokens))
    return sum(log_probabilities[i - 1, continuation.tokens[i]].item() for i in places)


@pytest.mark.parametrize("name", _CASES)
def test_shared_prefixes_change_nothing(name: str) -> None:
    make, longest = _CASES[name]
    torch.manual_seed(0)
    model = make()
    assert longest_shared_row(model, 128) == longest
    continuations = _continuations()
    expected = [_one_by_one(model, continuation) for continuation in continuations]
    for max_shared_row in (0, longest):
        batches = plan(continuations, max_tokens=200, max_shared_row=max_shared_row)
        assert any(batch.ends is not None for batch in batches) == (max_shared_row > 0)
        found, greedy = log_likelihoods(model, batches, len(continuations))
        assert found.tolist() == pytest.approx(expected, abs=1e-4)
        few = 4 * 3 * _VOCABULARY  # three positions at a time
        chunked, same = log_likelihoods(model, batches, len(continuations), max_logits=few)
        assert chunked.tolist() == pytest.approx(expected, abs=1e-4)
        assert torch.equal(same, greedy)


def test_a_question_is_computed_once_for_all_its_choices() -> None:
    context = tuple(range(10))
    choices = [Continuation((*context, 20 + i, 30), 10) for i in range(4)]
    (batch,) = plan(choices, max_tokens=100, max_shared_row=100)
    assert batch.input_ids.shape == (1, 14)  # the context, then one token a choice; the last is only predicted
    assert len(batch.head_rows) == 5  # the end of the context serves all first tokens
    assert len(batch.targets) == 8


def test_scores_of_one_owner_are_summed() -> None:
    model = make_llama(_VOCABULARY)
    halves = [Continuation((1, 2, 3, 4), 1, 0), Continuation((4, 5, 6), 1, 0)]
    apart = [Continuation(half.tokens, 1, i) for i, half in enumerate(halves)]
    together, _ = log_likelihoods(model, plan(halves, max_tokens=64), 1)
    single, _ = log_likelihoods(model, plan(apart, max_tokens=64), 2)
    assert together.item() == pytest.approx(single.sum().item(), abs=1e-6)


def test_greedy_says_whether_every_token_is_the_likeliest() -> None:
    model = make_llama(_VOCABULARY)
    with torch.no_grad():
        first = int(model(torch.tensor([[7]])).logits[0, -1].argmax())
        second = int(model(torch.tensor([[7, first]])).logits[0, -1].argmax())
    sequences = [(7, first, second), (7, first, (second + 1) % _VOCABULARY)]
    continuations = [Continuation(tokens, 1, i) for i, tokens in enumerate(sequences)]
    _, greedy = log_likelihoods(model, plan(continuations, max_tokens=64), 2)
    assert greedy.tolist() == [True, False]


def test_logits_that_are_not_numbers_score_minus_infinity() -> None:
    model = make_llama(_VOCABULARY)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    scores, greedy = log_likelihoods(model, plan([Continuation((1, 2), 1)], max_tokens=8), 1)
    assert scores.tolist() == [-torch.inf]
    assert greedy.tolist() == [False]


def test_the_head_sees_only_the_chosen_positions() -> None:
    model = make_llama(_VOCABULARY)
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    seen = []
    handle = model.lm_head.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape))
    with torch.no_grad(), head_at(model, torch.tensor([0, 1]), torch.tensor([1, -1])) as select:
        found = select(model(tokens).logits)
    handle.remove()
    assert seen == [(1, 2, 16 * 2)]
    with torch.no_grad():
        logits = model(tokens).logits
    assert torch.allclose(found, torch.stack([logits[0, 1], logits[1, 2]]), atol=1e-6)


def test_without_a_head_module_the_positions_are_taken_from_all_logits() -> None:
    class Headless(nn.Module):
        def get_output_embeddings(self) -> None:
            return None

    logits = torch.arange(24.0).reshape(2, 3, 4)
    with head_at(Headless(), torch.tensor([1]), torch.tensor([-1])) as select:
        assert select(logits).tolist() == [[20, 21, 22, 23]]
