"""A learned mask on tiny random models for its mechanics, and on the shipped model for what it is for."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot import load_model, shipped_model
from codingspot.ablation import edited
from codingspot.corpus import PackedTokens, pack
from codingspot.errors import FingerprintError, SelectionError, StudyError
from codingspot.importance import score
from codingspot.learning import LearnSettings, learn_mask, learning_memory
from codingspot.models import LoadedModel, OutputHead, ParameterLayout, fingerprint, unique_parameters
from codingspot.spot import Spot, find_spot
from codingspot.testbed.world import world_corpus

QUICK = LearnSettings(doses=(1.0, 5.0), steps=6, sequences=2, validation_sequences=2, validate_every=3)


@pytest.fixture
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=24, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4
    )
    return LoadedModel(LlamaForCausalLM(config).eval(), None, "tiny")  # type: ignore[arg-type]


def texts(low: int, high: int, seed: int) -> PackedTokens:
    ids = torch.randint(low, high, (12, 8), generator=torch.Generator().manual_seed(seed))
    return PackedTokens("x", ids, documents=12, duplicates=0)


CODE, GENERAL = {"go": texts(0, 12, 0), "rust": texts(0, 12, 1)}, {"english": texts(12, 24, 2)}


def shortlist(loaded: LoadedModel, n: int = 800) -> Spot:
    layout = ParameterLayout.of(loaded.model)
    positions = torch.randperm(layout.total, generator=torch.Generator().manual_seed(0))[:n]
    metadata = {"model": {"fingerprint": loaded.fingerprint}, "recipe": {"name": "sum"}, "scope": "all"}
    return Spot(positions, torch.zeros(n), layout, metadata)


def test_weights_gradients_and_modes_come_back(loaded) -> None:
    before = fingerprint(loaded.model)
    learn_mask(loaded, CODE, GENERAL, shortlist(loaded), QUICK)
    assert fingerprint(loaded.model) == before
    assert all(p.grad is None for p in loaded.model.parameters())
    assert not loaded.model.training


def test_the_spot_is_part_of_the_shortlist_and_as_long_as_the_largest_dose(loaded) -> None:
    whole = shortlist(loaded)
    learned = learn_mask(loaded, CODE, GENERAL, whole, QUICK).spot
    assert len(learned) == learned.count(5.0)
    assert len(learned.positions.unique()) == len(learned)
    assert set(learned.positions.tolist()) <= set(whole.positions.tolist())
    assert (learned.scores.diff() <= 0).all()
    assert learned.metadata["recipe"]["name"] == "learned"
    assert learned.metadata["languages"] == ["go", "rust"]


def test_a_seed_decides_everything(loaded) -> None:
    one, same = (learn_mask(loaded, CODE, GENERAL, shortlist(loaded), QUICK) for _ in range(2))
    assert torch.equal(one.spot.positions, same.spot.positions)
    assert one.curve.equals(same.curve)
    other = learn_mask(loaded, CODE, GENERAL, shortlist(loaded), LearnSettings(**{**QUICK.__dict__, "seed": 1}))
    assert not torch.equal(one.spot.positions, other.spot.positions)


def test_the_first_step_follows_the_gradient_by_hand(loaded) -> None:
    """Adam's first step is the sign of the gradient: of -theta g of 3 general losses minus the code loss."""
    whole = shortlist(loaded, 400)
    settings = LearnSettings(
        doses=(1.0,), steps=1, learning_rate=0.25, sequences=10, validation_sequences=2, validate_every=9, code_floor=99
    )
    code = {"go": CODE["go"]}
    n = whole.count(1.0)
    learned = learn_mask(loaded, code, GENERAL, whole, settings)
    with edited(loaded, whole.positions[:n]):
        losses = [OutputHead(loaded.model).text_loss(t.input_ids[2:]) / 70 for t in (GENERAL["english"], code["go"])]
        found = torch.autograd.grad(3 * losses[0] - losses[1], list(unique_parameters(loaded.model).values()))
    weights = torch.cat([p.detach().flatten() for p in unique_parameters(loaded.model).values()])
    removal = -(weights * torch.cat([g.flatten() for g in found]))[whole.positions]
    expected = torch.linspace(1, 0, 400) - 0.25 * removal.sign()
    assert learned.curve["step"].max() == 1
    best = set(whole.positions[expected.argsort(descending=True, stable=True)[:n]].tolist())
    validated = learned.curve[learned.curve["part"] == "validation"].sort_values("step")["objective"].tolist()
    kept_first = validated[1] >= validated[0]
    assert set(learned.spot.positions.tolist()) == (set(whole.positions[:n].tolist()) if kept_first else best)


def test_what_cannot_be_learned_is_refused(loaded) -> None:
    with pytest.raises(SelectionError, match="too few to choose"):
        learn_mask(loaded, CODE, GENERAL, shortlist(loaded, 20), QUICK)
    with pytest.raises(StudyError, match=r"doses is .* must increase strictly"):
        LearnSettings(doses=(1.0, 0.5))
    with pytest.raises(SelectionError, match="too few to learn from"):
        learn_mask(loaded, CODE, GENERAL, shortlist(loaded), LearnSettings(doses=(1.0,)))
    with pytest.raises(SelectionError, match="needs general text"):
        learn_mask(loaded, CODE, {}, shortlist(loaded), QUICK)
    stranger = shortlist(loaded)
    stranger.metadata["model"]["fingerprint"] = "0" * 64  # type: ignore[index]
    with pytest.raises(FingerprintError):
        learn_mask(loaded, CODE, GENERAL, stranger, QUICK)


def test_memory_grows_with_the_shortlist_not_with_the_model() -> None:
    billion = 1_000_000_000
    assert learning_memory(8 * billion // 20, 128_256 * 4096, 2) < 13 * billion


def test_on_the_shipped_model_code_goes_and_english_stays(tmp_path) -> None:
    loaded = load_model(shipped_model())
    corpus = world_corpus(60, seed=3, languages=("javascript", "rust", "go"))
    store = score(loaded, corpus, tmp_path / "scores", token_budget=2048, sequence_length=128)
    whole = find_spot(store, recipe="set_difference", scope="blocks", max_k_percent=5)
    packed = {d.name: pack(d, loaded.tokenizer, sequence_length=128, token_budget=4096, seed=0) for d in corpus.domains}
    english = {"english": packed.pop("english")}
    settings = LearnSettings(doses=(0.5,), steps=24, validate_every=24, validation_sequences=8, patience=9)
    learned = learn_mask(loaded, packed, english, whole, settings)
    first, last = (
        learned.curve[(learned.curve["part"] == "validation") & (learned.curve["step"] == step)].iloc[0]
        for step in (0, 24)
    )
    assert last["code_loss"] > first["code_loss"] + 1
    assert last["general_loss"] < first["general_loss"] + 0.1
    assert set(learned.spot.grouped()) <= {name for name in whole.layout.names if "proj" in name}
