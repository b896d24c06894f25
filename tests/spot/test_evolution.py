"""Snapshots of a fine-tuning, reduced to sums, a sample and the top k percent, and compared."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.corpus import Corpus, Domain
from codingspot.errors import SelectionError
from codingspot.importance import Estimate, FineTune, record_snapshots, score
from codingspot.models import LoadedModel, fingerprint, unique_parameters
from codingspot.spot import find_spot
from codingspot.spot.evolution import SnapshotRecorder

WORDS = 22
SETTINGS = {"sequence_length": 16, "token_budget": 160, "reduction": "corpus"}

MODEL = LlamaForCausalLM(
    LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
)


def tuned(seed: int = 0) -> FineTune:
    return FineTune(steps=4, learning_rate=0.02, sequences_per_step=2, seed=seed, snapshots=(0, 2, 4))


@pytest.fixture
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    names = ["<unk>", "<eos>", *(f"w{index}" for index in range(WORDS))]
    words = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = LlamaConfig(
        vocab_size=len(names),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    return LoadedModel(LlamaForCausalLM(config).eval(), tokenizer, "tiny")


@pytest.fixture
def corpus() -> Corpus:
    draw = random.Random(0)

    def domain(name: str, kind: str) -> Domain:
        texts = [" ".join(f"w{draw.randrange(WORDS)}" for _ in range(9)) for _ in range(40)]
        return Domain(name, kind, tuple(texts))

    return Corpus("words", (domain("C#", "code"), domain("Rust", "code"), domain("English", "general")))


@pytest.fixture
def recorded(loaded, corpus, tmp_path):
    recorder = SnapshotRecorder.of(loaded.model, k_percents=(1, 5), sample=500)
    store = score(loaded, corpus, tmp_path / "scores", finetune=tuned(), on_snapshot=recorder, **SETTINGS)
    return recorder, store


def test_snapshots_are_the_scores_at_their_steps(recorded, loaded, corpus, tmp_path) -> None:
    recorder, store = recorded
    assert [(one.domain, one.step) for one in recorder.snapshots] == [
        (domain, step) for domain in ("C#", "Rust", "English") for step in (0, 2, 4)
    ]
    before = score(loaded, corpus, tmp_path / "before", **SETTINGS)
    for which, step in ((before, 0), (store, 4)):
        snapshot = next(one for one in recorder.snapshots if (one.domain, one.step) == ("Rust", step))
        only = which.with_kinds({"C#": "general"})
        assert torch.equal(snapshot.top, find_spot(only, max_k_percent=5).positions)
        whole = torch.cat([only.tensor("Rust", name).flatten() for name in only.layout.names]).abs()
        torch.testing.assert_close(snapshot.sample, whole[torch.from_numpy(recorder.sampled)], rtol=0, atol=0)
        assert math.fsum(snapshot.sums) == pytest.approx(float(whole.double().sum()), rel=1e-9)
        assert snapshot.loss == which.domain("Rust").details["loss"]
    losses = store.domain("Rust").details["finetuning_losses"]
    assert len(losses) == 4
    assert fingerprint(loaded.model) == loaded.fingerprint


def test_distribution_over_layers_kinds_and_heads_adds_up(recorded, loaded) -> None:
    recorder, _ = recorded
    table = recorder.distribution()
    one = table[(table["domain"] == "Rust") & (table["step"] == 2)]
    assert one["parameters"].sum() == recorder.layout.total
    assert one["share"].sum() == pytest.approx(1)
    assert (one["mean"] * one["parameters"]).sum() == pytest.approx(math.fsum(recorder.snapshots[4].sums))
    heads = one[one["kind"].isin(["q", "k"])].groupby(["layer", "kind"])["head"].apply(list)
    assert heads.loc[1].to_dict() == {"q": [0, 1, 2, 3], "k": [0, 1]}
    assert one.loc[one["block"] == "mlp", "head"].isna().all()


def test_a_heads_sum_by_hand(loaded) -> None:
    recorder = SnapshotRecorder.of(loaded.model, k_percents=(1,), sample=10)
    name = "model.layers.1.self_attn.o_proj.weight"
    scores = {key: torch.zeros(shape) for key, shape in zip(recorder.layout.names, recorder.layout.shapes, strict=True)}
    scores[name][3, 4:8] = torch.tensor([1.0, -2.0, 3.0, -4.0])  # inputs 4 to 8 come from head 1
    recorder("Rust", 0, Estimate(scores, None))
    table = recorder.distribution().query("tensor == @name").set_index("head")
    assert table["share"].to_dict() == {0: 0, 1: 1, 2: 0, 3: 0}
    assert table.loc[1, "mean"] == 10 / (16 * 4)


def test_pairs_differ_in_one_thing(recorded, loaded, corpus) -> None:
    recorder, _ = recorded
    recorder.seed = 1
    losses = record_snapshots(loaded, corpus, recorder, finetune=tuned(1), **SETTINGS)
    assert set(losses) == {"C#", "Rust", "English"}
    table = recorder.evolution()
    counts = table[table["k_percent"] == 5]["comparison"].value_counts().to_dict()
    # Of 3 domains, 3 steps and 2 seeds: pairs of steps 3 * 3 * 2, of domains 3 * 3 * 2, of seeds 3 * 3.
    assert counts == {"steps": 18, "domains": 18, "seeds": 9}
    untrained = table[(table["comparison"] == "seeds") & (table["first_step"] == 0)]
    assert (untrained["jaccard"] == 1).all()
    assert untrained["spearman"].to_numpy() == pytest.approx(1)
    trained = table[(table["comparison"] == "seeds") & (table["first_step"] == 4)]
    assert (trained["jaccard"] < 1).any()
    row = table[(table["comparison"] == "steps") & (table["k_percent"] == 5)].iloc[0]
    first, second = recorder.snapshots[0], recorder.snapshots[1]
    one, other = set(first.top.tolist()), set(second.top.tolist())
    assert row["jaccard"] == len(one & other) / len(one | other)
    assert row["spearman"] == pytest.approx(spearmanr(first.sample, second.sample).statistic)
    assert set(recorder.losses().columns) == {"domain", "seed", "step", "loss"}


def test_doses_are_checked_before_anything_is_trained(loaded) -> None:
    with pytest.raises(SelectionError):
        SnapshotRecorder.of(loaded.model, k_percents=(0.0, 1))


def test_no_snapshots_no_pairs(loaded) -> None:
    assert SnapshotRecorder.of(loaded.model).evolution().empty


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-3, 1e3))
def test_scaling_all_scores_changes_neither_shares_nor_agreement(factor: float) -> None:
    recorder = SnapshotRecorder.of(MODEL, k_percents=(10,), sample=200)
    generator = torch.Generator().manual_seed(0)
    scores = {name: torch.randn(weight.shape, generator=generator) for name, weight in unique_parameters(MODEL).items()}
    recorder("a", 0, Estimate(scores, None))
    recorder("a", 1, Estimate({name: value * factor for name, value in scores.items()}, None))
    first, second = (group["share"].to_numpy() for _, group in recorder.distribution().groupby("step"))
    assert first == pytest.approx(second, rel=1e-5)
    table = recorder.evolution()
    assert table["jaccard"].min() > 0.99  # rounding may tie two scores that differed
    assert table["spearman"].min() > 0.9999
