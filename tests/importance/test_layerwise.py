"""Scoring layer by layer, weights on disk, beside the ordinary way."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    OPTConfig,
)
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.cli.console import StudyProgress
from codingspot.corpus import Corpus
from codingspot.errors import ModelError, StudyError
from codingspot.importance import ScoreStore, score
from codingspot.models import load_model
from codingspot.models.section import ModelSection
from codingspot.models.streaming import streamed

SETTINGS = {"sequence_length": 8, "token_budget": 40, "micro_batch_tokens": 24}  # 3 sequences, then 2
WIDE = {
    "vocab_size": 24,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
GROUPED = {**WIDE, "intermediate_size": 24, "num_key_value_heads": 2}
CONFIGS = {
    "grouped heads": LlamaConfig(**GROUPED),
    "tied, logits capped, two masks": Gemma2Config(**GROUPED, head_dim=4, sliding_window=4, tie_word_embeddings=True),
    "fused matrices": GPTNeoXConfig(**WIDE, intermediate_size=24),
    "tied, learned positions": OPTConfig(**WIDE, ffn_dim=24, word_embed_proj_dim=16),
    "experts saved one by one": MixtralConfig(**GROUPED, num_local_experts=3),
}
WAYS = {
    "corpus": {},
    "microbatch": {"reduction": "microbatch"},
    "sequence": {"reduction": "sequence", "norm": "l2"},
    "fisher": {"estimator": "fisher"},
}
CASES = [(name, way) for name in CONFIGS for way in ("corpus", "sequence")] + [
    ("tied, logits capped, two masks", way) for way in ("microbatch", "fisher")
]


def _saved(config, folder: Path, tokenizer) -> Path:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for each in model.parameters():  # biases and norms too
        each.data += 0.05 * torch.randn_like(each)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def small(corpus) -> Corpus:
    return Corpus("words", tuple(domain for domain in corpus.domains if domain.name in ("Rust", "English")))


@pytest.mark.parametrize("name", CONFIGS)
def test_scores_are_those_of_the_whole_model(name: str, loaded, small, tmp_path: Path) -> None:
    folder = _saved(CONFIGS[name], tmp_path / "model", loaded.tokenizer)
    whole = load_model(folder, device="cpu")
    with streamed(ModelSection(id=str(folder), device="cpu")) as layered:
        assert {each.device.type for each in layered.model.parameters()} == {"meta"}
        for way in (way for each, way in CASES if each == name):
            expected = score(whole, small, tmp_path / "whole" / way, **SETTINGS, **WAYS[way])
            found = score(layered, small, tmp_path / "layered" / way, **SETTINGS, **WAYS[way])
            _compare(expected, found)
        assert {each.device.type for each in layered.model.parameters()} == {"meta"}


def _compare(expected: ScoreStore, found: ScoreStore) -> None:
    assert found.layout == expected.layout
    for key in ("model", "corpus", "estimator", "settings", "versions", "normalise"):
        assert found.manifest[key] == expected.manifest[key]
    for one, other in zip(expected.domains, found.domains, strict=True):
        assert (other.name, other.files, other.predicted_tokens) == (one.name, one.files, one.predicted_tokens)
        assert other.details == {**one.details, "loss": pytest.approx(one.details["loss"], abs=1e-6)}
        assert (other.mean, other.deviation) == pytest.approx((one.mean, one.deviation), rel=1e-5)
        for tensor in expected.layout.names:
            right = expected.tensor(one.name, tensor)
            difference = (found.tensor(one.name, tensor) - right).abs().max()
            assert difference <= 1e-5 * right.abs().max() + 1e-9, tensor


def _changed(_layer, _arguments, out):
    return out * 1.0


def _reads_the_states_itself(_layer, arguments, named):
    return arguments, {**named, "more": arguments[0]}


def test_the_command_scores_and_what_layers_cannot_be_is_refused(loaded, small, tmp_path: Path) -> None:
    folder = _saved(CONFIGS["grouped heads"], tmp_path / "model", loaded.tokenizer)
    small.save(tmp_path / "corpus")
    how = ["--corpus", str(tmp_path / "corpus"), "--device", "cpu", "--token-budget", "40", "--sequence-length", "8"]
    ran = CliRunner().invoke(app, ["score", str(folder), *how, "--layer-by-layer", "--out", str(tmp_path / "scores")])
    assert ran.exit_code == 0, ran.output
    assert [domain.name for domain in ScoreStore.open(tmp_path / "scores").domains] == ["Rust", "English"]
    how = ["--corpus", str(tmp_path / "corpus"), "--device-map", "auto", "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, ["score", str(folder), *how, "--layer-by-layer"])
    assert "leave out device_map" in ran.output
    assert "reading the corpus" not in ran.output
    with streamed(ModelSection(id=str(folder), device="cpu")) as layered:
        for refused, why in (({"estimator": "wanda"}, "scores by wanda need"), ({"folded": True}, "folded needs")):
            with pytest.raises(StudyError, match=f"{why} the whole model .* without torchrun and --layer-by-layer"):
                score(layered, small, tmp_path / "out", **SETTINGS, **refused)
        layers = layered.layers
        between = layers[0].register_forward_hook(_changed)
        with pytest.raises(ModelError, match=r"LlamaForCausalLM can't be scored .* don't follow one another"):
            score(layered, small, tmp_path / "out", **SETTINGS)
        between.remove()
        more = layers[1].register_forward_pre_hook(_reads_the_states_itself, with_kwargs=True)
        with pytest.raises(ModelError, match="its layers read more of the text than hidden states"):
            score(layered, small, tmp_path / "out", **SETTINGS)
        more.remove()
        layers[0].register_forward_hook(lambda _layer, _arguments, out: (out, out))
        with pytest.raises(ModelError, match="its layers give more than hidden states"):
            score(layered, small, tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_stopped_command_goes_on_layer_by_layer_or_whole(loaded, small, tmp_path: Path, monkeypatch) -> None:
    folder = _saved(CONFIGS["grouped heads"], tmp_path / "model", loaded.tokenizer)
    small.save(tmp_path / "corpus")
    arguments = ["score", str(folder), "--corpus", str(tmp_path / "corpus"), "--device", "cpu", "--token-budget", "40"]
    arguments += ["--sequence-length", "8"]

    def shares(_progress: StudyProgress):
        def show(stage: str, _share: float) -> None:
            if stage == stop_at:
                raise KeyboardInterrupt

        return show

    monkeypatch.setattr(StudyProgress, "shares", shares)
    for how in ([], ["--layer-by-layer"]):
        out = tmp_path / f"scores{len(how)}"
        partial = out.with_name(f"{out.name}.partial")
        command = [*arguments, *how, "--out", str(out)]
        stop_at = "scoring Rust"
        stopped = CliRunner().invoke(app, command)
        assert stopped.exit_code == 130
        assert not partial.exists()  # nothing was finished
        stop_at = "scoring English"
        stopped = CliRunner().invoke(app, command)
        assert stopped.exit_code == 130
        assert f"goes on from the domains that are finished, if any, in {partial}" in stopped.output.replace("\n", " ")
        (partial / out.name / "tmp-of-a-killed-process").mkdir()
        finished = (partial / out.name / "Rust.safetensors").stat()
        stop_at = ""
        assert CliRunner().invoke(app, command).exit_code == 0
        assert (out / "Rust.safetensors").stat().st_mtime_ns == finished.st_mtime_ns
        assert not partial.exists()
        assert sorted(each.name for each in out.iterdir()) == [
            "English.safetensors",
            "Rust.safetensors",
            "manifest.json",
        ]
    one, other = (ScoreStore.open(tmp_path / f"scores{number}") for number in (0, 1))
    for domain in one.domains:
        for name in one.layout.names:
            assert torch.allclose(one.tensor(domain.name, name), other.tensor(domain.name, name), atol=1e-6)
