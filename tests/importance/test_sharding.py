"""Scoring and selection by two ranks, each with a part of it, beside one process. torchrun is started once."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scoring_ranks import MODELS, RUN, SETTINGS, SPOTS, WAYS, score_by_command
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.errors import FingerprintError
from codingspot.importance import ScoreStore, score
from codingspot.importance.writing import store_writer
from codingspot.models import load_model
from codingspot.models.ranks import Ranks
from codingspot.spot import Spot, candidates, find_spot

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WHOLE = "without torchrun and --layer-by-layer, or by torchrun in groups of one process (--domains-per-group)"
ROUNDING = 1e-5
"""Of a score, beside the largest of its tensor: float32 sums of a batch in another order."""


def test_two_ranks_score_and_select_as_one_process(loaded, gpt2, corpus, tmp_path: Path, monkeypatch, capsys) -> None:
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
    assert wanda == f"scores by wanda need the whole model in one process; use taylor, fisher, or score {WHOLE}"
    assert draws == f"draws needs the whole model and all domains in one process; leave it out, or score {WHOLE}"

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

    score_by_command(tmp_path, tmp_path / "one" / "groups", "--domains-per-group", "3")
    assert files_of(tmp_path / "ranks" / "groups") == files_of(tmp_path / "one" / "groups")
    score_by_command(tmp_path, tmp_path / "none", "--domains-per-group", "2")
    assert "3 domains, 2 a group, make 2 groups" in capsys.readouterr().err


def test_two_groups_of_two_ranks_make_the_store_of_one_group(loaded, corpus, tmp_path: Path) -> None:
    loaded.model.save_pretrained(tmp_path / "model")
    loaded.tokenizer.save_pretrained(tmp_path / "model")
    corpus.save(tmp_path / "corpus")
    script = Path(__file__).with_name("scoring_groups.py")
    ran = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    together = files_of(tmp_path / "groups")
    assert together.keys() == {"C%23.safetensors", "Rust.safetensors", "English.safetensors", "manifest.json"}
    assert together == files_of(tmp_path / "one group")


def test_ranks_with_other_inputs_write_no_store_together(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Ranks, "first", lambda *_: (tmp_path, {"model": {"id": "a"}, "settings": {"seed": 0}}))
    made_from = {"model": {"id": "b"}, "settings": {"seed": 1}}
    with pytest.raises(FingerprintError, match="rank 1 scores with another model and seed than rank 0"):
        store_writer(tmp_path / "scores", provenance=made_from, ranks=Ranks(1, 2)).__enter__()


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


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
