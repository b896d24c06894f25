"""Every supported architecture, tied and untied, through every stage."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from architectures import CONFIGS, VOCABULARY, make_model, make_tokenizer
from lm_eval.api.instance import Instance

from codingspot.ablation import WeightEditor
from codingspot.corpus import Corpus, Domain, pack
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.importance import score
from codingspot.models import LoadedModel, ParameterLayout, fingerprint, load_model, unique_parameters
from codingspot.spot import find_spot

every_model = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
every_architecture = pytest.mark.parametrize("name", CONFIGS)

LENGTH = 16


def words(seed: int) -> tuple[str, ...]:
    draw = random.Random(seed)
    return tuple(" ".join(f"w{draw.randrange(VOCABULARY - 2)}" for _ in range(12)) for _ in range(12))


CORPUS = Corpus(
    "words",
    (
        Domain("rust", "code", words(1)),
        Domain("python", "code", words(2), held_out=True),
        Domain("english", "general", words(3)),
    ),
)


@every_architecture
@every_model
def test_score_select_edit_restore_evaluate(name: str, tied: bool, tmp_path: Path) -> None:
    loaded = LoadedModel(make_model(name, tied=tied), make_tokenizer(), name)
    model, layout = loaded.model, ParameterLayout.of(loaded.model)
    weights = {key: value.detach().clone() for key, value in unique_parameters(model).items()}

    store = score(loaded, CORPUS, tmp_path / "scores", token_budget=6 * LENGTH, sequence_length=LENGTH)
    for key, expected in gradient_times_weight(loaded).items():
        torch.testing.assert_close(store.tensor("rust", key), expected, rtol=2e-3, atol=1e-6)
    spot = find_spot(store, recipe="set_difference", general_percent=20, scope="blocks", max_k_percent=4)
    assert len(spot) == round(0.04 * layout.total)

    evaluator = Evaluator(ModelAdapter(model, loaded.tokenizer), [], CORPUS.domains)
    original = evaluator.evaluate("original").losses
    with WeightEditor(loaded) as editor:
        editor.apply(spot.top(1))
        small = evaluator.evaluate("1%").losses
        editor.apply(spot)
        grown = evaluator.evaluate("4%").losses
        for key, located in layout.locate(spot.positions).items():
            assert not unique_parameters(model)[key].flatten()[located.offsets].any()
    assert (original["loss"] != small["loss"]).all()
    assert (small["loss"] != grown["loss"]).any()
    assert all(torch.equal(weights[key], value) for key, value in unique_parameters(model).items())
    assert fingerprint(model) == loaded.fingerprint
    assert evaluator.evaluate("original").losses.equals(original)


@every_architecture
@every_model
def test_generation_is_greedy_whatever_the_batch(name: str, tied: bool) -> None:
    model, tokenizer = make_model(name, tied=tied), make_tokenizer()
    prompts = ["w1 w2 w3", "w4 w5 w6 w7 w8 w9", "w0"]
    settings = {"until": ["w45 w45"], "max_gen_toks": 6, "do_sample": False}
    requests = [Instance("generate_until", {}, (prompt, settings), 0) for prompt in prompts]
    found = ModelAdapter(model, tokenizer).generate(requests)
    assert [completion.text for completion in found] == [greedy(model, tokenizer, prompt, 6) for prompt in prompts]


@every_architecture
@every_model
def test_choices_score_alike_with_and_without_shared_prefixes(name: str, tied: bool) -> None:
    model, tokenizer = make_model(name, tied=tied), make_tokenizer()
    context = " ".join(words(4)[:3])
    requests = [Instance("loglikelihood", {}, (context, f" {choice}"), 0) for choice in words(5)[:4]]
    shared, alone = (
        ModelAdapter(model, tokenizer, share_prefixes=share).loglikelihood(requests) for share in (None, False)
    )
    assert [score for score, _ in shared] == pytest.approx([score for score, _ in alone], abs=1e-4)


@every_architecture
@every_model
def test_a_sharded_checkpoint_is_the_same_model(name: str, tied: bool, tmp_path: Path) -> None:
    model = make_model(name, tied=tied)
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "several", max_shard_size="8KB")
    assert len(list((tmp_path / "one").glob("*.safetensors"))) == 1
    assert len(list((tmp_path / "several").glob("*.safetensors"))) > 1
    for folder in ("one", "several"):
        make_tokenizer().save_pretrained(tmp_path / folder)
        loaded = load_model(tmp_path / folder, device="cpu")
        assert loaded.fingerprint == fingerprint(model)
        embedding, head = loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings()
        assert (embedding.weight is head.weight) == tied


def gradient_times_weight(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """By automatic differentiation of the library's own mean loss over the same tokens in one batch."""
    tokens = pack(CORPUS.domain("rust"), loaded.tokenizer, sequence_length=LENGTH, token_budget=6 * LENGTH, seed=0)
    parameters = unique_parameters(loaded.model)
    loss = loaded.model(input_ids=tokens.input_ids, labels=tokens.input_ids, use_cache=False).loss
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(weight) if gradient is None else (weight * gradient).detach()
        for (name, weight), gradient in zip(parameters.items(), gradients, strict=True)
    }


@torch.no_grad()
def greedy(model: torch.nn.Module, tokenizer: object, prompt: str, tokens: int) -> str:
    """One token at a time, the whole text read anew for each."""
    ids = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    start = len(ids)
    for _ in range(tokens):
        token = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        ids.append(token)
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))
