"""Scoring and selection by two ranks, each with a part of it, beside one process. torchrun is started once."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scoring_ranks import MODELS, RUN, SETTINGS, SPOTS, WAYS
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.importance import ScoreStore, score
from codingspot.models import load_model
from codingspot.models.ranks import Ranks
from codingspot.spot import Spot, candidates, find_spot

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ROUNDING = 1e-5
"""Of a score, beside the largest of its tensor: float32 sums of a batch in another order."""


def test_two_ranks_score_and_select_as_one_process(loaded, gpt2, corpus, tmp_path: Path, monkeypatch) -> None:
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    uneven = LlamaForCausalLM(LlamaConfig(vocab_size=25, intermediate_size=7, max_position_embeddings=32, **sizes))
    for name, model in zip(MODELS, (uneven, gpt2), strict=True):
        model.save_pretrained(tmp_path / name)
        loaded.tokenizer.save_pretrained(tmp_path / name)
    corpus.save(tmp_path / "corpus")

    script = Path(__file__).with_name("scoring_ranks.py")
    ran = subprocess.run([*TORCHRUN, script, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    wanda, recipe, draws = (line for line in sorted(set(ran.stdout.splitlines()))[::-1] if "process" in line)
    assert wanda == "scores by wanda need the whole model in one process; use taylor, fisher, or no torchrun"
    assert draws == "draws needs the whole model in one process; leave it out, or score without torchrun"

    assert recipe == "recipe 'of its own' needs all scores in one process; leave out torchrun"
    assert ran.stdout.count("command.safetensors") == 1

    monkeypatch.setattr(candidates, "_RUN", RUN)
    store = ScoreStore.open(tmp_path / "ranks" / "tied" / "corpus")
    for name, how in {**SPOTS, "command": SPOTS["sum"]}.items():
        alone, together = find_spot(store, **how), Spot.load(tmp_path / f"{name}.safetensors")
        assert torch.equal(together.positions, alone.positions), name
        assert torch.equal(together.scores, alone.scores), name
        assert (together.layout, together.metadata) == (alone.layout, alone.metadata)

    for name in MODELS:
        whole = load_model(tmp_path / name, device="cpu")
        for way, how in WAYS.items():
            alone = score(whole, corpus, tmp_path / "one" / name / way, **SETTINGS, **how)
            _compare(alone, ScoreStore.open(tmp_path / "ranks" / name / way))


def _compare(alone: ScoreStore, together: ScoreStore) -> None:
    assert together.layout == alone.layout
    for key in ("model", "corpus", "estimator", "settings", "versions", "normalise"):
        assert together.manifest[key] == alone.manifest[key]
    for one, other in zip(alone.domains, together.domains, strict=True):
        assert (other.name, other.files, other.predicted_tokens) == (one.name, one.files, one.predicted_tokens)
        assert one.mean > 0
        assert other.details["loss"] == pytest.approx(one.details["loss"], abs=1e-6)
        assert (other.mean, other.deviation) == pytest.approx((one.mean, one.deviation), rel=ROUNDING)
        for tensor in alone.layout.names:
            expected, found = alone.tensor(one.name, tensor), together.tensor(one.name, tensor)
            torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * float(expected.abs().max()))

    n = alone.layout.total // 20
    spots = [find_spot(store, recipe="sum", scope="all", max_k_percent=5) for store in (alone, together)]
    assert [len(spot) for spot in spots] == [n, n]
    own, others = ({*spot.positions.tolist()} for spot in spots)
    cut = float(spots[0].scores[-1])
    near = (spots[0].scores - cut).abs() <= ROUNDING * float(spots[0].scores[0])
    assert len(own - others) <= int(near.sum()) // 2  # those at the boundary alone may have changed places


@pytest.mark.parametrize("rows", [7, 6, 2, 1, 0])
def test_rows_are_shared_as_tensors_are_cut(rows: int) -> None:
    firsts = [Ranks(own, 3).first_row(rows) for own in range(3)]
    parts = [range(start, stop) for start, stop in zip(firsts, [*firsts[1:], rows], strict=True)]
    cut = [part.tolist() for part in torch.arange(rows).chunk(3)]
    assert [list(part) for part in parts if part] == [part for part in cut if part]


def test_a_batch_is_read_once() -> None:
    batch = torch.arange(10).view(5, 2)
    shares = [Ranks(own, 3).share(batch) for own in range(3)]
    assert [len(share) for share in shares] == [2, 2, 1]
    assert sorted(torch.cat(shares)[:, 0].tolist()) == batch[:, 0].tolist()
