"""Every command that writes: a user's files stay, inputs are kept clear of, one command writes at a time."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from codingspot.bench.run import bench_directory
from codingspot.cli.app import app
from codingspot.directories import held
from codingspot.outputs import new_folder

ABSENT = "no/such/model"  # output is looked at before what is absent is missed
WHOLE = {
    "score": [ABSENT],
    "export model": ["absent.safetensors", ABSENT],
    "export distilled": [ABSENT, "--layers", "1", "--corpus", "testbed"],
    "export pruned": [ABSENT],
    "export smaller": ["absent.safetensors", ABSENT],
    "export undo": [ABSENT],
    "export lora": ["absent.safetensors"],
    "eval": [ABSENT, "--task", "humaneval"],
    "corpus": ["absent.jsonl"],
    "testbed tasks": [],
}
"""Commands that write a folder whole, with the arguments they need."""
FILES = {"spot": ["absent"], "export mask": ["absent"], "units": [ABSENT, "--corpus", "testbed"]}
RESUMING = {
    "demo": [],
    "run": ["--preset", "paper", "--model", ABSENT],
    "neurons": [ABSENT, "--corpus", "testbed"],
    "align": [ABSENT, "--parallel", "testbed"],
    "lens": [ABSENT, "--parallel", "testbed"],
    "bench": [],
    "testbed train": [],
}
"""Commands that resume in their directory."""


def call(command: str, arguments: list[str], out: Path, *more: str):
    environment = {"COLUMNS": "80", "TERM": "dumb", "HF_HUB_OFFLINE": "1"}
    return CliRunner().invoke(app, [*command.split(), *arguments, "--out", str(out), *more], env=environment)


def refusal(result) -> str:
    assert result.exit_code == 1, result.output
    lines = [line for line in result.output.splitlines() if line.strip()]
    assert len(lines) == 1, result.output
    assert lines[0].startswith("error: ")
    return lines[0]


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_command_with_an_output_is_among_those_tested() -> None:
    found = commands(typer.main.get_command(app))
    options = {name: {flag for each in command.params for flag in each.opts} for name, command in found}
    assert {name for name, flags in options.items() if "--out" in flags} == {*WHOLE, *FILES, *RESUMING}
    replaces = {name for name, flags in options.items() if "--force" in flags}
    assert replaces == {*WHOLE, *FILES, "testbed info"}


@pytest.mark.parametrize("command", [*WHOLE, *RESUMING])
def test_a_folder_of_the_user_is_refused_before_any_work(command: str, tmp_path: Path) -> None:
    (tmp_path / "prec" / "thesis").mkdir(parents=True)
    (tmp_path / "prec" / "thesis" / "a").write_text("x")
    before = tree(tmp_path)
    for more in ([], ["--force"] if command in WHOLE else []):
        message = refusal(call(command, {**WHOLE, **RESUMING}[command], tmp_path / "prec", *more))
        assert "thesis/a" in message
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", [*WHOLE, *FILES, *RESUMING])
def test_a_file_of_the_user_is_refused_before_any_work(command: str, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text("mine")
    for more in ([], [] if command in RESUMING else ["--force"]):
        assert str(file) in refusal(call(command, {**WHOLE, **FILES, **RESUMING}[command], file, *more))
    assert tree(tmp_path) == {str(file): b"mine"}


@pytest.mark.parametrize("command", WHOLE)
def test_what_codingspot_wrote_is_replaced_by_force_alone_and_never_with_a_strangers_file(
    command: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with new_folder(out, "codingspot-test") as temporary:
        (temporary / "ours").touch()
    before = tree(tmp_path)
    assert "--force" in refusal(call(command, WHOLE[command], out))
    assert tree(tmp_path) == before
    (out / "mine").write_text("mine")
    assert "mine" in refusal(call(command, WHOLE[command], out, "--force"))
    (out / "mine").unlink()
    assert "exists already" not in call(command, WHOLE[command], out, "--force").output


INPUTS = {
    "score": ["score {}", "score testbed --corpus {}"],
    "spot": ["spot {}"],
    "units": ["units {} --corpus testbed", "units testbed --corpus {}"],
    "export": [
        "export model x.safetensors {}",
        "export model {}/one.jsonl testbed",
        "export undo {}",
        "export lora {}",
        "export mask {}",
        "export smaller x.safetensors {}",
        "export pruned testbed --protect {}/one.jsonl",
        "export pruned testbed --scores {}",
    ],
    "eval": ["eval {} --task humaneval", "eval testbed --task mmlu --data mmlu={}"],
    "corpus": ["corpus {} --schema files", "corpus {}/*.jsonl"],
    "neurons": ["neurons {} --corpus testbed", "neurons testbed --corpus {}"],
    "align": ["align testbed --parallel {}/one.jsonl"],
    "lens": ["lens testbed --keywords {}", "lens {} --parallel testbed", "lens testbed --tuned-lens {}/one.jsonl"],
    "run": ["run STUDY"],
}


@pytest.mark.parametrize("line", [line for lines in INPUTS.values() for line in lines])
def test_output_is_not_in_around_or_one_of_the_inputs(line: str, tmp_path: Path) -> None:
    project = tmp_path / "all" / "project"
    project.mkdir(parents=True)
    (project / "one.jsonl").write_text("{}")
    study = tmp_path / "study.yaml"
    study.write_text(f"name: a\nspots: [{{name: a, k_percent: [1]}}]\ncorpus: {{source: '{project}'}}\n")
    before = tree(tmp_path)
    command, *arguments = line.format(project).replace("STUDY", str(study)).split()
    if command == "export":
        command = f"export {arguments.pop(0)}"
    for out in (project, tmp_path / "all", *([] if ".jsonl" in line else [project / "inside"])):
        assert "the input" in refusal(call(command, arguments, out))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", [*RESUMING, "report"])
def test_a_directory_in_use_is_refused_in_one_line(command: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kinds = {"bench": "codingspot-bench", "testbed train": "codingspot-training"}
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with held(run, kinds.get(command, "codingspot-run")):
            (run / "kept").touch()
            holds.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holds.wait(60)
        if command == "report":
            result = CliRunner().invoke(app, ["report", str(run)])
        else:
            result = call(command, RESUMING[command], run)
        assert "is in use by another codingspot command" in refusal(result)
    finally:
        done.set()
        thread.join()
    assert {path.name for path in run.iterdir()} == {"kept", "manifest.json"}


def test_a_benchmark_of_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    with bench_directory(tmp_path):
        (tmp_path / "routed").mkdir()
        (tmp_path / "routed" / "settings.json").write_text('{"token_budget": 4096, "limit": 2, "seed": 0}')
        (tmp_path / "routed" / "taylor-sum.json").write_text("{}")
    assert "measured with another limit; choose another --out" in refusal(call("bench", [], tmp_path))
    assert (tmp_path / "routed" / "taylor-sum.json").exists()


def test_report_leaves_what_others_put_beside_its_tables_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert "notes.md" in refusal(result)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]


def test_figures_of_something_else_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("mine")
    result = CliRunner().invoke(app, ["testbed", "info", str(tmp_path), "--evaluate", "--force"])
    assert "evaluation.json" in refusal(result)
    assert (tmp_path / "evaluation.json").read_text() == "mine"
