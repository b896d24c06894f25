import multiprocessing
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.errors import FingerprintError, OutputError
from codingspot.files import write_json
from codingspot.models import load_model
from codingspot.testbed.recipe import Phase, Recipe
from codingspot.testbed.routing import Routing, Subset
from codingspot.testbed.training import STEPS_PER_SHARD, is_trained, train

BATCH = 512


def small_recipe(**settings) -> Recipe:
    """Two phases, the first of more than one shard, of a model too small to learn anything."""
    phases = (
        Phase(mixture="broad", tokens=(STEPS_PER_SHARD + 2) * BATCH, learning_rate=1e-3),
        Phase(mixture="reasoning", tokens=3 * BATCH, learning_rate=1e-3),
    )
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "key_value_heads": 1, "mlp_size": 32, "vocabulary_size": 512}
    return Recipe(**{**sizes, "batch_tokens": BATCH, "phases": phases, **settings})


def stop_at(step: int):
    def progress(done: int, steps: int, loss: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


@pytest.fixture(scope="module")
def workers() -> list[multiprocessing.Process]:
    """Those of the training that isn't stopped."""
    return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, workers: list[multiprocessing.Process]) -> Path:
    """A finished training of the small recipe, its tokenizer of few documents: tests leave it as it is.

    Ctrl-C reaches its workers, which a terminal tells too, when they have made all text.
    """

    def interrupt(done: int, steps: int, loss: float) -> None:
        if done == steps:
            workers.extend(multiprocessing.active_children())
            for worker in workers:
                os.kill(worker.pid, signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codingspot.testbed.training.TOKENIZER_DOCUMENTS", 1000)
        return train(small_recipe(), tmp_path_factory.mktemp("trained") / "whole", device="cpu", progress=interrupt)


@pytest.fixture
def begun(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Begins trainings that have their tokenizer already, whose shards are then made in this process."""
    monkeypatch.setattr("codingspot.testbed.training.ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))

    def begin(recipe: Recipe) -> Path:
        out = tmp_path / "out"
        out.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(whole / name, out)
        write_json(out / "recipe.json", recipe.model_dump(mode="json"))
        return out

    return begin


def test_a_stopped_training_resumes_to_the_same_weights(whole: Path, begun):
    recipe = small_recipe()
    out = begun(recipe)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out, device="cpu", progress=stop_at(STEPS_PER_SHARD + 1))
    stopped = train(recipe, out, device="cpu")
    first, second = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (whole / "loss.csv").read_text() == (stopped / "loss.csv").read_text()
    assert len((whole / "loss.csv").read_text().splitlines()) == 1 + recipe.steps
    with pytest.raises(FingerprintError, match="another recipe"):
        train(small_recipe(seed=1), whole)


def test_a_routed_training_writes_its_subset(begun):
    routing = Routing(neurons=8, key_value_groups=1)
    phase = Phase(mixture="routed", tokens=2048, learning_rate=1e-3)
    recipe = small_recipe(
        hidden_size=32, heads=4, key_value_heads=2, batch_tokens=2048, phases=(phase,), routing=routing
    )
    out = train(recipe, begun(recipe), device="cpu")
    assert Subset.load(out) == Subset.of(routing, load_model(out).model.config)


def test_gpt_neo_trains_and_loads(begun, capfd: pytest.CaptureFixture[str]):
    phase = Phase(mixture="broad", tokens=2 * BATCH, learning_rate=1e-3)
    recipe = small_recipe(architecture="gpt_neo", phases=(phase,))
    out = train(recipe, begun(recipe), device="cpu")
    assert capfd.readouterr() == ("", "")
    loaded = load_model(out)
    assert loaded.model.config.model_type == "gpt_neo"
    text = "def f(x):\n    return x"
    assert loaded.tokenizer.decode(loaded.tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--hidden-size", "32"], "hidden_size 32 must be a multiple of heads, 6"),
        (["--hidden-size", "18"], "an odd width"),
        (["--language", "klingon"], "languages: the testbed has no language 'klingon'"),
        (["--routed", "--mlp-size", "64"], "a routed subset must leave something"),
        (["--device", "nowhere"], "device 'nowhere' can't be used here"),
        (["--device", "meta"], "device 'meta' can't be used here"),
        (["--scale", "nan"], "Invalid value for '--scale'"),
    ],
)
def test_what_can_not_be_trained_is_one_line_and_leaves_nothing(arguments: list[str], named: str, tmp_path: Path):
    result = CliRunner().invoke(app, ["testbed", "train", "--out", str(tmp_path / "out"), *arguments])
    assert result.exit_code in (1, 2)
    assert named in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_worker_without_a_traceback(whole: Path, workers: list[multiprocessing.Process]):
    assert [worker.exitcode for worker in workers] == [-signal.SIGINT]


def test_learning_rate_warms_up_and_falls_to_zero():
    phase = Phase(mixture="broad", tokens=1, learning_rate=1.0)
    rates = [phase.learning_rate_at(step, 100) for step in range(100)]
    assert rates[0] == 0.5
    assert max(rates) == 1.0
    assert rates[40] == 1.0
    assert rates[99] == pytest.approx(1 / 60)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_training_is_left_as_it_is(whole: Path, tmp_path: Path):
    recipe, out = small_recipe(), tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "export").mkdir()
    for name in ("export/onnx", "config.json", "model.safetensors", "loss.csv", "tokenizer_config.json"):
        (out / name).write_text("mine")
    before = contents(out)
    assert is_trained(train(recipe, out, device="cpu"))
    assert contents(out) == before


def test_a_training_replaces_no_file_of_the_users(begun):
    recipe = small_recipe()
    out = begun(recipe)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out, device="cpu", progress=stop_at(STEPS_PER_SHARD + 1))
    (out / "loss.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"loss\.csv was not written by codingspot"):
        train(recipe, out, device="cpu")
    assert (out / "loss.csv").read_text() == "mine"
    assert not (out / "model.safetensors").exists()
    (out / "loss.csv").unlink()
    assert is_trained(train(recipe, out, device="cpu"))
