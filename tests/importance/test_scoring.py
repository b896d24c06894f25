from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codingspot.corpus import Corpus, pack
from codingspot.errors import ArtefactError, CorpusError, NonFiniteError, OutputError, StudyError
from codingspot.files import remove
from codingspot.importance import FineTune, ScoreStore, disjoint_draws, merge, score
from codingspot.importance.draws import sample_offsets
from codingspot.models import LoadedModel, fingerprint, unique_parameters
from codingspot.spot import RECIPES, find_spot

SETTINGS = {"sequence_length": 8, "token_budget": 64, "micro_batch_tokens": 16}


def _reference(loaded, corpus: Corpus, domain: str, **options) -> dict[str, torch.Tensor]:
    ids = pack(corpus.domain(domain), loaded.tokenizer, **options).input_ids
    parameters = unique_parameters(loaded.model)
    found = torch.autograd.grad(loaded.model(input_ids=ids, labels=ids).loss, list(parameters.values()))
    return {name: (p * g).detach() for (name, p), g in zip(parameters.items(), found, strict=True)}


def test_scores_of_every_domain_but_the_held_out(loaded, corpus, tmp_path) -> None:
    before = fingerprint(loaded.model)
    heard = []
    store = score(loaded, corpus, tmp_path / "s", seed=3, progress=lambda *news: heard.append(news), **SETTINGS)
    assert [(domain.name, domain.kind) for domain in store.domains] == [
        ("C#", "code"),
        ("Rust", "code"),
        ("English", "general"),
    ]
    for domain in ("C#", "English"):
        expected = _reference(loaded, corpus, domain, sequence_length=8, token_budget=64, seed=3)
        for name, scores in expected.items():
            torch.testing.assert_close(store.tensor(domain, name), scores, rtol=1e-3, atol=1e-7)
    assert fingerprint(loaded.model) == before
    assert [done for _, done, _ in heard] == list(range(16, 3 * 64 + 1, 16))
    assert {total for _, _, total in heard} == {3 * 64}
    assert [domain for domain, _, _ in heard] == ["C#"] * 4 + ["Rust"] * 4 + ["English"] * 4


def test_the_manifest_says_what_made_the_scores(loaded, corpus, tmp_path) -> None:
    store = score(loaded, corpus, tmp_path / "s", reduction="sequence", normalise="zscore", **SETTINGS)
    assert store.manifest["model"] == {"id": "tiny", "revision": "r1", "fingerprint": loaded.fingerprint}
    assert store.manifest["corpus"] == {"name": "words", "fingerprint": corpus.fingerprint}
    assert store.manifest["estimator"] == {"name": "taylor", "reduction": "sequence", "norm": "l1"}
    assert store.manifest["settings"] == {**SETTINGS, "seed": 0, "bos": "tokenizer", "finetune": None, "folded": False}
    assert store.normalise == "zscore"
    assert store.domain("Rust").predicted_tokens == 8 * 7
    assert store.domain("Rust").details["tokens"] == 64
    assert 0 < store.domain("Rust").details["loss"] < 10
    store.check_model(loaded.fingerprint)


def test_same_seed_same_scores_whatever_the_micro_batch(loaded, corpus, tmp_path) -> None:
    settings = {**SETTINGS, "micro_batch_tokens": 8}
    one = score(loaded, corpus, tmp_path / "one", **SETTINGS)
    again = score(loaded, corpus, tmp_path / "again", **SETTINGS)
    cut = score(loaded, corpus, tmp_path / "cut", **settings)
    for name in one.layout.names:
        assert torch.equal(one.tensor("Rust", name), again.tensor("Rust", name))
        torch.testing.assert_close(one.tensor("Rust", name), cut.tensor("Rust", name), rtol=1e-3, atol=1e-7)


def test_fine_tuning_changes_the_scores_not_the_weights(loaded, corpus, tmp_path) -> None:
    before = fingerprint(loaded.model)
    plain = score(loaded, corpus, tmp_path / "plain", **SETTINGS)
    settings = FineTune(steps=3, learning_rate=0.05)
    tuned = score(loaded, corpus, tmp_path / "tuned", finetune=settings, **SETTINGS)
    assert fingerprint(loaded.model) == before
    assert len(tuned.domain("Rust").details["finetuning_losses"]) == 3
    assert tuned.manifest["settings"]["finetune"]["learning_rate"] == 0.05
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.allclose(plain.tensor("Rust", name), tuned.tensor("Rust", name), rtol=0.01)

    original = FineTune(steps=3, learning_rate=0.05, weights="original")
    kept = score(loaded, corpus, tmp_path / "kept", finetune=original, **SETTINGS)
    # The same gradient times the two thetas: where one theta is 0 apart from the other, so is the score.
    theta = unique_parameters(loaded.model)[name].detach()
    gradient = kept.tensor("Rust", name) / theta
    tuned_theta = tuned.tensor("Rust", name) / gradient
    assert 0 < float((tuned_theta - theta).abs().median()) <= 3 * 0.05 * 1.01


def test_unusable_settings_are_refused_and_leave_nothing(loaded, corpus, tmp_path) -> None:
    out = tmp_path / "s"
    with pytest.raises(CorpusError, match="context of 32 tokens"):
        score(loaded, corpus, out, sequence_length=33)
    with pytest.raises(CorpusError, match="every domain of corpus 'held' is held out"):
        score(loaded, Corpus("held", (corpus.domain("Python"),)), out)
    with pytest.raises(StudyError, match="no parameter 'reductoin'"):
        score(loaded, corpus, out, reductoin="corpus", **SETTINGS)
    with pytest.raises(CorpusError, match="none after the first 3200"):
        score(loaded, corpus, out, draws=[tmp_path / "one", tmp_path / "two"], **{**SETTINGS, "token_budget": 6400})
    with torch.no_grad():
        loaded.model.lm_head.weight[0, 0] = float("inf")
    with pytest.raises(NonFiniteError, match=r"lm_head\.weight"):
        score(loaded, corpus, out, **SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("estimator", ["taylor", "fisher", "obd", "integrated_gradients"])
def test_draws_are_scores_of_their_own_text_and_merge_to_the_whole(estimator, loaded, corpus, tmp_path) -> None:
    settings = {"estimator": estimator, "sequence_length": 8, "micro_batch_tokens": 32}
    folders = [tmp_path / f"draw-{number}" for number in range(4)]
    whole = score(loaded, corpus, tmp_path / "whole", draws=folders, token_budget=256, **settings)
    undivided = score(loaded, corpus, tmp_path / "undivided", token_budget=256, **settings)
    first = score(loaded, corpus, tmp_path / "first", token_budget=64, **settings)
    draws = [ScoreStore.open(folder) for folder in folders]
    merged = merge(draws)
    assert merged.domain("Rust").predicted_tokens == whole.domain("Rust").predicted_tokens
    assert merged.domain("Rust").mean == pytest.approx(whole.domain("Rust").mean)
    assert merged.manifest["settings"]["token_budget"] == 256
    for name in whole.layout.names:
        torch.testing.assert_close(whole.tensor("Rust", name), undivided.tensor("Rust", name), rtol=1e-3, atol=1e-7)
        torch.testing.assert_close(
            merged.tensor("Rust", name), whole.tensor("Rust", name).flatten(), rtol=1e-3, atol=1e-7
        )
        assert torch.equal(draws[0].tensor("Rust", name), first.tensor("Rust", name).flatten())

    budgets = disjoint_draws(draws)
    assert {budget: len(stores) for budget, stores in budgets.items()} == {64: 4, 128: 2}
    assert budgets[64] == draws


def test_a_sample_of_a_larger_model_has_the_scores_at_its_positions(loaded, corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("codingspot.importance.scoring.sample_offsets", partial(sample_offsets, size=300, seed=1))
    whole = score(loaded, corpus, tmp_path / "whole", draws=[tmp_path / "draw"], **SETTINGS)
    alone = score(loaded, corpus, tmp_path / "alone", sample_only=True, **SETTINGS)
    drawn = ScoreStore.open(tmp_path / "draw")
    offsets = sample_offsets(whole.layout.sizes, size=300, seed=1)
    assert drawn.layout.total == alone.layout.total == sum(map(len, offsets.values()))
    assert set(drawn.layout.names) == set(offsets)
    for name, chosen in offsets.items():
        assert torch.equal(drawn.tensor("Rust", name), whole.tensor("Rust", name).flatten()[chosen])
        assert torch.equal(drawn.tensor("Rust", name), alone.tensor("Rust", name))


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=6), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_sample_is_of_distinct_positions_of_all_tensors(sizes, size, seed) -> None:
    names = {str(index): each for index, each in enumerate(sizes)}
    offsets = sample_offsets(names, size=size, seed=seed)
    for name, chosen in offsets.items():
        assert int(chosen.min()) >= 0
        assert int(chosen.max()) < names[name]
        assert len(chosen.unique()) == len(chosen)
    found = sum(map(len, offsets.values()))
    assert found == sum(sizes) if sum(sizes) <= size else found <= size


def test_scores_that_do_not_add_up_are_not_merged(loaded, corpus, tmp_path) -> None:
    settings = {**SETTINGS, "reduction": "sequence", "norm": "l2"}
    stores = [score(loaded, corpus, tmp_path / str(seed), seed=seed, **settings) for seed in (0, 1)]
    with pytest.raises(StudyError, match="don't add up"):
        merge(stores)


def test_folded_languages_give_the_same_spots_exactly(loaded, corpus, tmp_path) -> None:
    kept = score(loaded, corpus, tmp_path / "all", **SETTINGS)
    folded = score(loaded, corpus, tmp_path / "folded", folded=True, **SETTINGS)
    assert [(domain.name, domain.kind) for domain in folded.domains] == [("code", "code"), ("English", "general")]
    assert [each["name"] for each in folded.domain("code").details["languages"]] == ["C#", "Rust"]
    assert folded.folded
    assert not kept.folded
    assert not folded.traits.first_order
    for name in kept.layout.names:
        summed = kept.tensor("C#", name).abs() + kept.tensor("Rust", name).abs()
        assert torch.equal(folded.tensor("code", name), summed)
    assert folded.texts("code") == ("C#", "Rust")
    assert folded.texts("general") == kept.texts("general") == ("English",)
    exchanged = folded.with_kinds({"code": "general", "English": "code"})
    assert exchanged.texts("general") == ("C#", "Rust")
    assert [domain.name for domain in folded.of(["Rust", "C#"], ["English"]).domains] == ["code", "English"]
    with pytest.raises(ArtefactError, match="keeps the sum of C#, Rust alone"):
        folded.of(["Rust"], [])
    mean = sum(float(folded.tensor("code", name).sum()) for name in kept.layout.names) / kept.layout.total
    assert folded.domain("code").mean == pytest.approx(mean)
    for recipe in ("sum", "set_difference", "log_ratio", "share", "orthogonal", "rank_difference"):
        assert RECIPES.traits(recipe).folds
        one, other = (find_spot(store, recipe=recipe, max_k_percent=5) for store in (kept, folded))
        assert torch.equal(one.positions, other.positions)
    assert not RECIPES.traits("sum", {"aggregation": "median"}).folds
    assert not RECIPES.traits("consensus").folds
    with pytest.raises(StudyError, match="normalised by zscore can't be folded"):
        score(loaded, corpus, tmp_path / "z", folded=True, normalise="zscore", **SETTINGS)


@pytest.mark.parametrize(
    "kept", [{}, {"folded": True}, {"keep_dtype": "float16"}, {"folded": True, "keep_dtype": "float16"}]
)
@pytest.mark.parametrize("stop_at", ["C#", "Rust", "English"])
def test_a_stopped_scoring_goes_on_after_the_domains_it_finished(loaded, corpus, tmp_path, stop_at, kept) -> None:
    settings = {**SETTINGS, **kept}
    expected = score(loaded, corpus, tmp_path / "expected", **settings)
    partial, draws = tmp_path / "partial", [tmp_path / "draw-0", tmp_path / "draw-1"]

    def stop(domain: str, _done: int, _total: int) -> None:
        if domain == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(loaded, corpus, tmp_path / "s", partial=partial, draws=draws, progress=stop, **settings)
    assert not (tmp_path / "s").exists()
    heard = []
    store = score(
        loaded,
        corpus,
        tmp_path / "s",
        partial=partial,
        draws=draws,
        progress=lambda domain, done, total: heard.append((domain, done, total)),
        **settings,
    )
    names = [domain.name for domain in corpus.scored]
    assert [heard.count((name, 64 * (place + 1), 192)) for place, name in enumerate(names)] == [1, 1, 1]
    skipped = names[: names.index(stop_at)]
    assert [sum(domain == name for domain, *_ in heard) for name in names] == [1 if n in skipped else 4 for n in names]
    assert store.domains == expected.domains
    for domain in store.domains:
        for name in store.layout.names:
            assert torch.equal(store.tensor(domain.name, name), expected.tensor(domain.name, name))
    assert [domain.name for domain in ScoreStore.open(draws[1]).domains] == names
    assert list(partial.iterdir()) == []


def test_what_is_somebody_else_s_is_not_gone_on_with(loaded, corpus, tmp_path) -> None:
    (tmp_path / "partial" / "s").mkdir(parents=True)
    (tmp_path / "partial" / "s" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="no scoring that was stopped"):
        score(loaded, corpus, tmp_path / "s", partial=tmp_path / "partial", **SETTINGS)
    assert (tmp_path / "partial" / "s" / "mine.txt").read_text() == "mine"


def _stopped_at_rust(loaded: LoadedModel, corpus: Corpus, folder: Path) -> Path:
    """The folder in which a scoring into ``folder / "s"`` left its first domain."""

    def stop(domain: str, _done: int, _total: int) -> None:
        if domain == "Rust":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(loaded, corpus, folder / "s", partial=folder / "partial", progress=stop, **SETTINGS)
    return folder / "partial"


def test_what_another_scoring_finished_is_kept_unless_it_may_be_replaced(loaded, corpus, tmp_path) -> None:
    partial = _stopped_at_rust(loaded, corpus, tmp_path)
    finished = (partial / "s" / "C%23.safetensors").stat()
    with pytest.raises(OutputError, match=r"finished of a scoring with another seed; .* --force"):
        score(loaded, corpus, tmp_path / "s", partial=partial, seed=1, **SETTINGS)
    with pytest.raises(OutputError, match=r"another sequence_length and keep_dtype;"):
        score(
            loaded, corpus, tmp_path / "s", partial=partial, **{**SETTINGS, "sequence_length": 4}, keep_dtype="float16"
        )
    assert (partial / "s" / "C%23.safetensors").stat() == finished
    again = score(loaded, corpus, tmp_path / "s", partial=partial, seed=1, force=True, **SETTINGS)
    expected = score(loaded, corpus, tmp_path / "expected", seed=1, **SETTINGS)
    for name in again.layout.names:
        assert torch.equal(again.tensor("C#", name), expected.tensor("C#", name))


@pytest.mark.parametrize("damage", ["cut", "gone", "journal"])
def test_what_a_stopped_scoring_lost_is_scored_again(loaded, corpus, tmp_path, damage) -> None:
    partial = _stopped_at_rust(loaded, corpus, tmp_path)
    file = partial / "s" / "C%23.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "gone":
        file.unlink()
    else:  # killed right after its folder was made
        remove(partial / "s")
        (partial / "s").mkdir()
    again = score(loaded, corpus, tmp_path / "s", partial=partial, **SETTINGS)
    expected = score(loaded, corpus, tmp_path / "expected", **SETTINGS)
    assert again.domains == expected.domains
    for name in again.layout.names:
        assert torch.equal(again.tensor("C#", name), expected.tensor("C#", name))


def test_scores_that_may_not_appear_are_kept(loaded, corpus, tmp_path) -> None:
    partial = tmp_path / "partial"

    def disturb(domain: str, _done: int, _total: int) -> None:
        if domain == "English" and not (tmp_path / "s").exists():
            (tmp_path / "s").mkdir()
            (tmp_path / "s" / "mine.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"holds mine\.txt"):
        score(loaded, corpus, tmp_path / "s", partial=partial, progress=disturb, **SETTINGS)
    (tmp_path / "s").rename(tmp_path / "mine")
    heard: list[str] = []
    score(loaded, corpus, tmp_path / "s", partial=partial, progress=lambda name, *_: heard.append(name), **SETTINGS)
    assert len(heard) == 3  # none was scored again
