"""Losses of documents, against a plain computation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_models import make_llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.corpus import Domain
from codingspot.corpus.token_classes import TOKEN_CLASSES
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.evaluation.results import Results

_DOMAINS = [
    Domain("python", "code", ("def total(values):\n    return 0\n", "x = 12")),
    Domain("english", "general", ("Ana has 12 apples.", "", "The teacher wanted to read it in the garden. " * 2)),
]


def _plain(model: LlamaForCausalLM, tokens: list[int]) -> float:
    """Summed loss of all tokens, the first given the end-of-text token."""
    with torch.no_grad():
        logits = model(torch.tensor([[0, *tokens[:-1]]])).logits[0]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(tokens), reduction="sum").item()


def test_every_document_has_its_loss(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    found = HeldOutLoss(ModelAdapter(llama, tokenizer), _DOMAINS).evaluate()
    assert [(row.domain, row.document) for row in found] == [
        ("python", 0),
        ("python", 1),
        ("english", 0),
        ("english", 2),  # a document without a token has no loss
    ]
    texts = {(domain.name, i): text for domain in _DOMAINS for i, text in enumerate(domain.texts)}
    for row in found:
        tokens = tokenizer.encode(texts[row.domain, row.document])
        assert row.tokens == len(tokens)
        assert row.loss == pytest.approx(_plain(llama, tokens), abs=1e-3)


@pytest.mark.parametrize("tokens", [None, 21])
def test_losses_are_told_apart_by_the_class_of_token(
    tokens: int | None, llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Against the loss of each token by itself; also of windows, and of those the last of which is cut short."""
    text = "def total(values):\n    return values[0]\n" * 3
    adapter = ModelAdapter(llama, tokenizer)
    (found,) = HeldOutLoss(adapter, [Domain("python", "code", (text,))], window=len(tokenizer.encode(text))).evaluate()
    (row,) = HeldOutLoss(adapter, [Domain("python", "code", (text,))], window=16, tokens=tokens).evaluate()
    ids, spans = tokenizer.encode(text), tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    with torch.no_grad():
        logits = llama(torch.tensor([[0, *ids[:-1]]])).logits[0]
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="none")
    for name, marks in (("closing bracket", ")]"), ("opening bracket", "([")):
        of_class = [place for place, (start, end) in enumerate(spans) if text[start:end].strip()[:1] in tuple(marks)]
        assert found.class_tokens[TOKEN_CLASSES.index(name)] == len(of_class) > 5
        loss = sum(each[place].item() for place in of_class)
        assert found.class_losses[TOKEN_CLASSES.index(name)] == pytest.approx(loss, abs=1e-3)
    assert sum(row.class_tokens) == row.tokens == (tokens or len(ids))
    assert sum(row.class_losses) == pytest.approx(row.loss)


def test_a_tokenizer_that_does_not_say_where_tokens_are(
    llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = HeldOutLoss(ModelAdapter(llama, tokenizer), _DOMAINS).evaluate()
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    untold = HeldOutLoss(ModelAdapter(llama, tokenizer), _DOMAINS).evaluate()
    assert untold == [replace(row, class_tokens=None, class_losses=None) for row in told]
    assert list(Results.of_cell("a", (), untold).losses) == ["cell", "domain", "document", "tokens", "loss"]


@pytest.mark.parametrize(("context", "window"), [(16, 2048), (64, 16)])
def test_a_long_document_is_cut_into_windows(context: int, window: int, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_llama(len(tokenizer), max_position_embeddings=context)
    tokens = tokenizer.encode("Ana has 12 apples and 7 pears. " * 3)
    (found,) = HeldOutLoss(
        ModelAdapter(model, tokenizer), [Domain("english", "general", (tokenizer.decode(tokens),))], window=window
    ).evaluate()
    with torch.no_grad():
        first = model(torch.tensor([[0, *tokens[:15]]])).logits[0].log_softmax(-1)
    expected = -sum(first[i, tokens[i]].item() for i in range(16))
    for start in range(16, len(tokens), 16):
        end = min(start + 16, len(tokens))
        with torch.no_grad():  # each window reads as many tokens as it can before the first that it predicts
            log_p = model(torch.tensor([tokens[end - 17 : end - 1]])).logits[0].log_softmax(-1)
        expected -= sum(log_p[i - end, tokens[i]].item() for i in range(start, end))
    assert found.tokens == len(tokens)
    assert found.loss == pytest.approx(expected, abs=1e-3)


def test_losses_follow_the_weights(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    losses = HeldOutLoss(ModelAdapter(llama, tokenizer), _DOMAINS)
    before = losses.evaluate()
    with torch.no_grad():
        llama.lm_head.weight.zero_()
    uniform = [row.tokens * math.log(len(tokenizer)) for row in before]
    assert [row.loss for row in losses.evaluate()] == pytest.approx(uniform, rel=1e-5)
    with torch.no_grad():
        llama.lm_head.weight.fill_(torch.nan)
    assert all(row.loss == math.inf for row in losses.evaluate())


def test_windows_are_drawn_from_all_documents_until_there_are_tokens_enough(
    llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Each window has the loss it has among all, the last is cut short, and another seed draws others."""
    adapter = ModelAdapter(llama, tokenizer)
    texts = tuple(f"Ana has {number} apples and {number + 1} pears. " * 4 for number in range(8))
    domain = [Domain("english", "general", texts)]
    everything = {row.document: row for row in HeldOutLoss(adapter, domain, window=16).evaluate()}
    drawn = [HeldOutLoss(adapter, domain, window=16, tokens=100, seed=seed).evaluate() for seed in range(3)]
    for rows in drawn:
        assert sum(row.tokens for row in rows) == 100
        assert [row.document for row in rows] == sorted(row.document for row in rows)
        assert len(rows) > 100 / everything[0].tokens  # not whole documents one after the other
        assert all(row.tokens <= everything[row.document].tokens for row in rows)
    assert drawn[0] != drawn[1] != drawn[2]
    assert HeldOutLoss(adapter, domain, window=16, tokens=100, seed=0).evaluate() == drawn[0]
    enough = sum(row.tokens for row in everything.values())
    assert HeldOutLoss(adapter, domain, window=16, tokens=enough).evaluate() == list(everything.values())
