"""Special tokens: an end of text that a tokenizer appends is never read or scored, wherever texts are tokenised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import codingspot
from codingspot.ablation.super_weights import super_weights
from codingspot.corpus import Domain
from codingspot.corpus.tokens import pack
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.models import LoadedModel
from codingspot.tokenization import BOS_POLICIES, bos_policy, encode, opening_tokens, with_bos
from codingspot.views.lens.prompts import Translation
from codingspot.views.lens.prompts import tokenise as tokenise_translation
from codingspot.views.mexa.embeddings import tokenise as tokenise_for_embedding

_BOS, _EOS = 1, 2
_TEMPLATES = {"plain": "$A", "bos": "<bos> $A", "bos-eos": "<bos> $A <eos>", "eos": "$A <eos>"}


def _tokenizer(template: str) -> PreTrainedTokenizerFast:
    """One token a character, and what the template adds."""
    letters = {chr(code): code - 29 for code in range(32, 127)}
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<bos>": _BOS, "<eos>": _EOS, **letters}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    words.post_processor = processors.TemplateProcessing(
        single=_TEMPLATES[template], special_tokens=[("<bos>", _BOS), ("<eos>", _EOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", model_max_length=128
    )


def _ids(text: str) -> list[int]:
    return [ord(character) - 29 for character in text]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=98, **sizes, initializer_range=0.3, eos_token_id=_EOS, bos_token_id=_BOS)
    return LlamaForCausalLM(config).eval()


def _opening(template: str) -> list[int]:
    return [_BOS] if "bos" in template else []


@pytest.mark.parametrize("template", _TEMPLATES)
def test_opening_tokens_stay_and_appended_ones_go(template: str) -> None:
    tokenizer = _tokenizer(template)
    opening = _opening(template)
    assert opening_tokens(tokenizer) == opening
    texts = ["x = 5", "", "a<eos>"]
    assert encode(tokenizer, texts) == [[*opening, *_ids("x = 5")], opening, [*opening, *_ids("a"), _EOS]]
    assert encode(tokenizer, texts, special_tokens=False) == [_ids("x = 5"), [], [*_ids("a"), _EOS]]


@pytest.mark.parametrize("template", _TEMPLATES)
def test_continuations_and_prompts_equal_a_plain_computation(template: str, model: LlamaForCausalLM) -> None:
    adapter = ModelAdapter(model, _tokenizer(template))
    context, choice = "2 + 3 =", " 5"
    tokens = [*_opening(template), *_ids(context + choice)]
    with torch.no_grad():
        found = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    expected = sum(found[i - 1, tokens[i]].item() for i in (-2, -1))
    ((score, _),) = adapter.loglikelihood([Instance("loglikelihood", {}, (context, choice), 0)])
    assert score == pytest.approx(expected, abs=1e-5)

    prompt = tokens[:-2]
    for _ in range(6):
        with torch.no_grad():
            prompt.append(int(model(torch.tensor([prompt])).logits[0, -1].argmax()))
    written = prompt[len(tokens) - 2 :]
    written = written[: written.index(_EOS)] if _EOS in written else written
    (text,) = adapter.generate_until([Instance("generate_until", {}, (context, {"until": [], "max_gen_toks": 6}), 0)])
    assert text == adapter.tokenizer.decode(written, skip_special_tokens=True)


@pytest.mark.parametrize("template", _TEMPLATES)
def test_texts_are_the_same_tokens_whatever_the_template(template: str, model: LlamaForCausalLM) -> None:
    tokenizer, plain = _tokenizer(template), _tokenizer("plain")
    opening = _opening(template)
    domain = Domain("english", "general", ("Ana has 12 apples.", "The teacher."))
    both = (pack(domain, each, sequence_length=4).input_ids for each in (tokenizer, plain))
    packed, without = (ids.flatten().tolist() for ids in both)
    begun = [token for ids in (without[:19], without[19:]) for token in (*opening, *ids)]  # two documents, each ended
    assert packed == begun[: len(packed)]
    losses = [HeldOutLoss(ModelAdapter(model, each), [domain]).evaluate() for each in (tokenizer, plain)]
    assert losses[0] == losses[1]
    (embedded,), cut = tokenise_for_embedding(["x = 5"], tokenizer, special_tokens="pooled", longest=99)
    assert (embedded.tokens, embedded.pooled, cut) == ((*opening, *_ids("x = 5")), len(opening) + 5, 0)
    (embedded,), _ = tokenise_for_embedding(["x = 5"], tokenizer, special_tokens="unpooled", longest=99)
    assert (embedded.tokens, embedded.start, embedded.pooled) == ((*opening, *_ids("x = 5")), len(opening), 5)
    asked = tokenise_translation(Translation("c", "go", 0, "x", "C: x\nGo:", " y"), tokenizer)
    assert asked.tokens == (*opening, *encode(plain, ["C: x\nGo: y"])[0])
    assert asked.tokens[asked.start :] == tuple(_ids(" y"))


@pytest.mark.parametrize("template", _TEMPLATES)
@pytest.mark.parametrize("policy", BOS_POLICIES)
def test_one_policy_says_what_stands_before_every_text(template: str, policy: str, model: LlamaForCausalLM) -> None:
    tokenizer = with_bos(_tokenizer(template), policy)
    opening = {"tokenizer": _opening(template), "none": []}.get(policy, [_BOS])
    own = _ids("x = 5")
    assert bos_policy(tokenizer) == policy
    assert opening_tokens(tokenizer) == opening
    assert encode(tokenizer, ["x = 5", ""]) == [[*opening, *own], opening]
    packed = pack(Domain("x", "code", ("x = 5",)), tokenizer, sequence_length=5).input_ids[0].tolist()
    assert packed == [*opening, *own][:5]
    adapter = ModelAdapter(model, tokenizer)
    assert adapter.tok_encode("x = 5") == [*opening, *own]
    assert adapter.prefix_token_id == (_EOS if policy == "none" else _BOS)
    (embedded,), _ = tokenise_for_embedding(["x = 5"], tokenizer, special_tokens="pooled", longest=99)
    assert embedded.tokens == (*opening, *own)
    asked = tokenise_translation(Translation("c", "go", 0, "x", "x ", "= 5"), tokenizer)
    assert asked.tokens == (*opening, *own)
    read: list[list[list[int]]] = []
    handle = model.get_input_embeddings().register_forward_pre_hook(lambda _m, given: read.append(given[0].tolist()))
    super_weights(LoadedModel(model, tokenizer, "tiny"), texts=["x = 5"])
    handle.remove()
    assert read == [[[*opening, *own]]]


def test_the_policies_that_there_are() -> None:
    with pytest.raises(ValueError, match="unknown bos 'all'; use one of tokenizer, none, document, sequence"):
        with_bos(_tokenizer("bos"), "all")
    without = _tokenizer("plain")
    without.bos_token = None
    with pytest.raises(ValueError, match="no beginning-of-text token; use tokenizer or none"):
        with_bos(without, "document")


def test_super_weights_read_no_appended_token(model: LlamaForCausalLM) -> None:
    read: list[list[list[int]]] = []
    handle = model.get_input_embeddings().register_forward_pre_hook(lambda _m, given: read.append(given[0].tolist()))
    super_weights(LoadedModel(model, _tokenizer("bos-eos"), "tiny"), texts=["x = 5"])
    handle.remove()
    assert read == [[[_BOS, *_ids("x = 5")]]]


def test_no_other_module_calls_a_tokenizer() -> None:
    """So that one function decides about special tokens."""
    package = Path(codingspot.__file__).parent
    calling = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\btokenizer(\.encode|\.tokenize)?\(", path.read_text())
    ]
    assert calling == ["tokenization.py"]
