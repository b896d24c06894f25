import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.core import TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.corpus import Corpus, Domain, DomainKind
from codingspot.export import EXPORTS
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.study import parse_study
from codingspot.study.corpus_section import CorpusSection
from codingspot.study.evaluation_section import EvaluationSection
from codingspot.study.scoring_section import ScoringSection

GROUP = ["testbed train", "testbed tasks", "testbed info", *(f"export {name}" for name in EXPORTS)]
COMMANDS = ["demo", "run", "report", "score", "spot", "eval", "neurons", "align", "lens", *GROUP]


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    values = {"model.layers.0.mlp.up_proj.weight": torch.arange(1.0, 101.0).view(10, 10)}
    ScoreStore.write(tmp_path / "scores", [NewDomainScores("go", "code", values)])
    return tmp_path / "scores"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str):
    result = call(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: codingspot {command}" in " ".join(result.output.split())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_of_80_columns_and_is_cut_nowhere(command: str):
    output = call(*command.split(), "--help").output
    assert max(map(len, output.splitlines())) <= 80
    assert not re.search(r"[^\s\]](\.\.\.|…)$", output, re.MULTILINE)
    assert not re.search(r"[a-z]-$", output, re.MULTILINE)
    assert "list[" not in output


def test_show_study_prints_a_study_that_loads():
    result = call("demo", "--show-study")
    assert parse_study(result.output, "printed").name == "demo"


@pytest.mark.parametrize("k", ["0", "-1", "101"])
def test_k_outside_its_range_says_percent(scores: Path, tmp_path: Path, k: str):
    out = tmp_path / "spot.safetensors"
    result = call("spot", str(scores), "--k", k, "--out", str(out))
    assert result.exit_code == 1
    assert "percent" in result.output
    assert not out.exists()


def test_spot_command_selects_the_best(scores: Path, tmp_path: Path):
    from codingspot.spot import Spot

    result = call("spot", str(scores), "--k", "3", "--out", str(tmp_path / "spot.safetensors"), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["blocks"] == [{"block": "mlp", "parameters": 100, "selected": 3}]
    assert Spot.load(tmp_path / "spot.safetensors").positions.tolist() == [99, 98, 97]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "missing.yaml"), "missing.yaml"),
        (("report", "missing-run"), "missing-run"),
        (("score", "no/such/folder/model", "--out", "x"), "no/such/folder/model"),
        (("spot", "missing-scores", "--out", "x"), "missing-scores"),
        (("export", "model", "missing.safetensors", "testbed", "--out", "x"), "missing.safetensors"),
        (("testbed", "info", "missing-model"), "missing-model"),
        (("score", "testbed-rooted", "--out", "x"), "there is plain, routed"),
        (("score", "org/name", "--out", "x"), "no corpus is named for "),
        (("neurons", "org/name", "--out", "x"), "no corpus is named for "),
        (("align", "org/name", "--out", "x"), "no parallel code is named for "),
        (("lens", "org/name", "--out", "x"), "no parallel code is named for "),
        (("eval", "org/name", "--out", "x"), "no task is named for org/name; name one with --task"),
        (("score", "testbed", "--general", "german", "--out", "x"), "no domain 'german'; it has bash, cpp"),
        (("score", "testbed", "--held-out", "php", "--out", "x"), "no domain 'php'; it has bash, cpp"),
        (("testbed", "tasks", "--out", "/proc/nowhere"), "/proc/nowhere"),
        (("testbed", "train", "--out", "x", "--hidden-size", "-3"), "hidden_size"),
        (("testbed", "train", "--out", "x", "--routed", "--architecture", "gpt_neo"), "llama"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = call(*arguments)
    assert result.exit_code == 1
    message = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert len(message) == 1
    assert named in message[0]
    assert list(tmp_path.iterdir()) == []


def test_score_takes_an_estimator_with_its_parameters_as_a_study_does(tmp_path: Path):
    result = call("score", "testbed", "--out", str(tmp_path / "s"), "--estimator", "taylr")
    assert result.exit_code == 1
    assert "unknown estimator 'taylr'" in " ".join(result.output.split())
    result = call("score", "testbed", "--out", str(tmp_path / "s"), "--bos", "everywhere")
    assert result.exit_code == 1
    assert "--bos: Input should be 'tokenizer', 'none'" in " ".join(result.output.split())
    short = ("--language", "go", "--documents", "20", "--token-budget", "128", "--sequence-length", "64")
    settings = ("--estimator", "taylor", "--set", "reduction=sequence", "--dtype", "bfloat16")
    result = call("score", "testbed", "--out", str(tmp_path / "s"), *short, *settings, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    assert [(each["domain"], each["tokens"]) for each in json.loads(result.stdout)["domains"]] == [
        ("go", 128),
        ("english", 128),
    ]
    assert ScoreStore.open(tmp_path / "s").manifest["estimator"]["reduction"] == "sequence"


def test_the_testbed_is_called_as_everywhere_and_a_folder_is_told_to_a_shell(tmp_path: Path) -> None:
    result = call("testbed", "info", "testbed-routed")
    assert result.exit_code == 0, result.output
    assert result.stdout == call("testbed", "info", "routed").stdout
    (tmp_path / "a model").mkdir()
    told = call("testbed", "info", str(tmp_path / "a model")).output
    assert f"`codingspot testbed info '{tmp_path / 'a model'}' --evaluate`" in " ".join(told.split())


def test_unknown_recipe_and_parameter_are_named(scores: Path, tmp_path: Path):
    out = str(tmp_path / "spot.safetensors")
    assert "set_difference" in call("spot", str(scores), "--recipe", "nonsense", "--out", out).output
    assert "colour" in call("spot", str(scores), "--set", "colour=red", "--out", out).output
    assert "NAME=VALUE" in call("spot", str(scores), "--set", "colour", "--out", out).output


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("trim=[", "--set trim is not valid YAML"),
        ("trim=" + "[" * 3000, "--set trim is nested more than 40 deep"),
        ("trim=.nan", "trim is nan (Input should be a finite number)"),
        ("trim=0.5", "trim is 0.5 (Input should be less than 0.5)"),
        ("recipe=sum", "recipe 'sum' has no parameter 'recipe'"),
        ("store=x", "recipe 'sum' has no parameter 'store'"),
        ("max_k_percent=3", "recipe 'sum' has no parameter 'max_k_percent'"),
        ("without=3", "recipe 'sum' has no parameter 'without'"),
        ("languages=3", "languages is 3"),
        ("languages=[go, go]", "'go' is listed twice"),
        ("per_tensor=perhaps", "per_tensor is 'perhaps'"),
    ],
)
def test_a_faulty_setting_of_a_spot_is_one_line(scores: Path, tmp_path: Path, setting: str, named: str):
    out = tmp_path / "spot.safetensors"
    result = call("spot", str(scores), "--set", setting, "--out", str(out))
    assert result.exit_code == 1
    (message,) = result.output.splitlines()
    assert message.startswith("error:")
    assert named in message
    assert not out.exists()


def test_a_setting_given_twice_is_refused(scores: Path, tmp_path: Path):
    out = str(tmp_path / "spot.safetensors")
    assert "trim twice" in call("spot", str(scores), "--set", "trim=0", "--set", "trim=0.1", "--out", out).output


@pytest.mark.parametrize(
    ("edit", "setting", "named"),
    [
        ("scale", "alpha=.nan", "alpha is nan (Input should be a finite number)"),
        ("scale", "edit=zero", "edit 'scale' has no parameter 'edit'"),
        ("scale", "spot=1", "edit 'scale' has no parameter 'spot'"),
        ("noise", "scale=[", "--set scale is not valid YAML"),
        ("noise", "seed=-1", "seed is -1"),
        ("keep_only", "base=[nothing]", "unknown scope 'nothing'"),
    ],
)
def test_a_faulty_setting_of_an_edit_is_one_line_before_a_model_is_loaded(
    tmp_path: Path, edit: str, setting: str, named: str
):
    out = tmp_path / "edited"
    result = call("export", "model", "none", "no/such/model", "--edit", edit, "--set", setting, "--out", str(out))
    assert result.exit_code == 1
    (message,) = result.output.splitlines()
    assert message.startswith("error:")
    assert named in message
    assert not out.exists()


def test_a_file_where_a_folder_belongs_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    result = call("spot", str(tmp_path / "file"), "--out", str(tmp_path / "spot.safetensors"))
    assert result.exit_code == 1
    assert "does not exist; run the stage that makes it, or correct the path" in result.output
    assert "Traceback" not in result.output


def test_a_word_means_the_same_in_every_command():
    """What is a list in one is a list in all, as in a study file; numbers of texts and tokens have its names."""
    named: dict[str, set[bool]] = {}
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            if isinstance(parameter, TyperOption):
                named.setdefault(parameter.name or "", set()).add(parameter.multiple)
    assert {name for name, lists in named.items() if len(lists) > 1} == set()
    assert named["held_out"] == named["general"] == named["corpus"] == named["language"] == {True}
    numbers = {*CorpusSection.model_fields, *ScoringSection.model_fields, *EvaluationSection.model_fields}
    for name in ("documents", "evaluation_documents", "token_budget", "limit"):
        assert named[name] == {False}
        assert name in numbers
    assert not {"tokens", "controls"} & named.keys()


def test_score_uses_every_text_and_keeps_none_back(tmp_path: Path):
    domains = [Domain(name, kind, tuple(f"{name} = {n} + {n * n}\n" for n in range(30))) for name, kind in KINDS]
    Corpus("mine", tuple(domains)).save(tmp_path / "corpus")
    arguments = ("score", "testbed", "--corpus", str(tmp_path / "corpus"), "--sequence-length", "16")
    result = call(
        *arguments, "--general", "rust", "--held-out", "go", "-l", "go", "-l", "python", "--out", str(tmp_path / "s")
    )
    assert result.exit_code == 0, result.output
    store = ScoreStore.open(tmp_path / "s")
    assert {domain.name: domain.kind for domain in store.domains} == {"python": "code", "rust": "general"}
    tokens = {domain.details["tokens"] for domain in store.domains}
    assert min(tokens) > 30 * 4
    few = call(*arguments, "-l", "python", "--documents", "5", "--out", str(tmp_path / "few"))
    assert few.exit_code == 0, few.output
    (python,) = ScoreStore.open(tmp_path / "few").domains
    assert python.details["tokens"] < max(tokens)


KINDS: list[tuple[str, DomainKind]] = [("go", "code"), ("python", "code"), ("rust", "code")]


def test_every_command_that_reads_texts_takes_what_stands_before_them():
    commands = get_command(app).commands
    for name in ("score", "eval", "neurons", "align", "lens"):
        (option,) = [each for each in commands[name].params if each.name == "bos"]
        assert (option.opts, option.default) == (["--bos"], "tokenizer")


def test_a_study_says_once_what_stands_before_a_text():
    def named(section: dict[str, Any], place: str = "") -> Iterator[str]:
        for key, value in section.items():
            if key == "bos":
                yield f"{place}{key}"
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    yield from named(each, f"{place}{key}.")

    study = parse_study("{name: x, views: {neurons: {}, align: {}, lens: {}}}", "written")
    assert list(named(study.model_dump(mode="json"))) == ["model.bos"]
