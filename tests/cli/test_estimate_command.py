"""`codingspot estimate`: what a study will take, told without loading weights."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.estimation.speed import Speeds

STUDY = """
name: small
corpus: {languages: [go, rust, python]}
scoring: {token_budget: 512, sequence_length: 128, draws: 1}
spots:
  - {name: spot, k_percent: [0.25, 1], controls: [matched], control_seeds: [0, 1]}
evaluation: {limit: 4, code_limit: 4}
"""


def call(*arguments: str):
    return CliRunner().invoke(app, ["estimate", *arguments], env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("studies") / "small.yaml"
    file.write_text(STUDY)
    return file


@pytest.fixture(scope="module")
def own(study: Path) -> dict[str, Any]:
    """What is told of the study as it is."""
    found: dict[str, Any] = json.loads(call(str(study), "--json").output)
    return found


def test_json_holds_what_the_study_asks_for(own: dict[str, Any]) -> None:
    parameters = own["parameters"]
    assert (own["model"], parameters) == ("testbed", 3_148_224)
    assert own["domains"] == 3  # go, rust and english: python is held out
    assert own["tokens"] == 3 * 512
    assert own["cells"] == 1 + 2 + 2 * 2  # the original, the spot's doses, those of two draws of its control
    assert own["weight_bytes"] == 4 * parameters
    assert own["disk"]["scores"] == 3 * 4 * parameters
    assert {peak["stage"] for peak in own["memory"]} == {
        "scoring",
        "selection",
        "held-out losses",
        "choices of tasks",
        "generation",
    }
    for peak in own["memory"]:
        assert peak["total"] == sum(peak["parts"].values())


def test_options_take_the_place_of_the_study_s_own(study: Path, own: dict[str, Any]) -> None:
    options = ("--study", str(study), "--json", "--dtype", "bfloat16", "--device", "cuda")
    routed = json.loads(call("testbed-routed", *options).output)
    assert routed["weight_bytes"] == 2 * routed["parameters"]
    assert (routed["model"], routed["tokens"]) == ("testbed-routed", own["tokens"])
    assert (own["device"], routed["device"]) == ("cpu", "cuda")
    larger = json.loads(call(str(study), "--json", "--micro-batch-tokens", "4096").output)
    peaks = [found["memory"][0]["parts"]["activations and gradient"] for found in (own, larger)]
    assert peaks[1] > peaks[0]


def test_measure_times_every_stage(study: Path, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codingspot.estimation.speed._SECONDS", 0.0)
    found = json.loads(call(str(study), "--measure", "--json").output)
    seconds = found["seconds"]
    assert seconds.keys() == {"scoring", "selection", *found["evaluation_tokens"], "total"}
    assert seconds["total"] == pytest.approx(sum(seconds.values()) - seconds["total"])
    assert "seconds" not in own
    monkeypatch.setattr("codingspot.estimation.measure_speeds", lambda *_: Speeds(1.0, 1.0, 1.0, 1.0))
    shown = call(str(study), "--measure").output
    assert "Time on this machine, an estimate" in shown
    assert "From speeds just measured on random tokens" in shown


def test_items_on_the_hub_are_said_to_be_unknown(tmp_path: Path) -> None:
    study = tmp_path / "hub.yaml"
    study.write_text(STUDY.replace("{limit: 4, code_limit: 4}", "{code: [], general: [hellaswag], other: []}"))
    shown = call(str(study)).output
    assert (
        " ".join(next(line for line in shown.splitlines() if "hellaswag" in line).split())
        == "hellaswag unknown unknown"
    )
    assert "Items on the Hub are not read here" in shown


def test_the_tables_fit_a_terminal(study: Path) -> None:
    result = call(str(study))
    assert result.exit_code == 0, result.output
    assert "3,148,224 parameters, 12.6 MB as float32" in result.output
    assert "scoring" in result.output
    assert max(len(line.rstrip()) for line in result.output.splitlines()) <= 85  # one sentence is not cut
    assert "Example: codingspot estimate my-study.yaml" in call("--help").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.yaml"], "missing.yaml can't be read as a study file; `codingspot demo --show-study` prints one"),
        (["small.yaml", "--preset", "paper"], "small.yaml is a study file; --study and --preset are for a model"),
        (["testbed", "--study", "small.yaml", "--preset", "paper"], "--study and --preset are both given; give one"),
        (["testbed", "--preset", "papers"], "unknown preset 'papers'; use one of paper, released-code, code-region"),
        (["small.yaml", "--dtype", "float8"], "unknown dtype 'float8'; use one of float32, bfloat16, float16, auto"),
        (["./nowhere"], "model folder ./nowhere does not exist; correct the path or give a Hub id"),
        (["testbed-rooted"], "no testbed model 'rooted' ships with this package; there is plain, routed"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], says: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.parent)
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith(f"error: {says}")
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(("times", "said"), [(7.04, True), (1.2, False)])
def test_a_processor_that_is_slow_in_half_precision_is_named(
    study: Path, times: float, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codingspot.estimation.slower_than_float32", lambda _: times)
    shown = call(str(study), "--dtype", "bfloat16", "--device", "cpu").output
    assert ("7.0 times as long for a product of matrices in bfloat16 as in float32" in shown) == said


@pytest.mark.parametrize("memory", ["-1", "nan", "inf", "1e300", "many"])
def test_memory_that_no_device_has_is_refused(study: Path, memory: str) -> None:
    refused = call(str(study), "--memory", memory)
    assert refused.exit_code == 2
    assert "Invalid value for '--memory'" in refused.output
