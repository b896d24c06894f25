"""Directories in which commands resume: one process at a time, and nothing of a killed one stays."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from codingspot.analysis import Pieces
from codingspot.directories import held, partial_folder, renewed_folder, scratch_folder
from codingspot.errors import OutputError
from codingspot.files import write_json

COMMAND = """
import sys, time
from pathlib import Path
import typer
from codingspot.cli.console import friendly_errors
from codingspot.directories import held
from codingspot.files import atomic_path

app = typer.Typer()

@app.command()
def run(directory: Path):
    with friendly_errors("the same command resumes it"), held(directory):
        for name in ("figures", "analysis/density.parquet"):
            with atomic_path(directory / name) as temporary:
                temporary.write_text("whole")
        with atomic_path(directory / "figures") as one, atomic_path(directory / "analysis" / "density.parquet") as two:
            one.write_text("half")
            two.write_text("half")
            print("ready", flush=True)
            time.sleep(60)

app()
"""


@contextmanager
def running(directory: Path, *, ignored: signal.Signals | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command that was begun in ``directory`` and is in the middle of writing two files."""

    def handlers() -> None:
        """Those that a command in a terminal begins with, whatever pytest itself was begun with."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN if each == ignored else signal.SIG_DFL)

    command = [sys.executable, "-c", COMMAND, str(directory)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, preexec_fn=handlers, **streams) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


WHOLE = {"manifest.json", "figures", "analysis", "analysis/density.parquet"}


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda each: str(each)
)
def test_a_signal_ends_a_command_in_good_order(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    with running(tmp_path / "run") as process:
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert told == "stopped; the same command resumes it\n"
    assert names(tmp_path / "run") == WHOLE


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    with running(tmp_path / "run", ignored=signal.SIGHUP) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_what_a_killed_command_left_is_swept_by_the_next(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with running(run) as process:
        process.kill()
        process.wait(60)
        (run / ".figures.codingspot").mkdir()  # a user's
        (run / ".tables.abcd1234").mkdir()
    assert len(names(run)) > len(WHOLE) + 2
    with held(run):
        pass
    assert names(run) == WHOLE | {".figures.codingspot", ".tables.abcd1234"}
    assert (run / "figures").read_text() == (run / "analysis" / "density.parquet").read_text() == "whole"


def test_a_directory_in_use_is_refused_in_one_line_and_its_writer_undisturbed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with running(run) as first:
        before = names(run)
        second = subprocess.run([sys.executable, "-c", COMMAND, str(run)], capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert second.stderr.splitlines() == [
            f"error: {run} is in use by another codingspot command; wait until it ends, or choose another one"
        ]
        assert names(run) == before
        first.send_signal(signal.SIGTERM)
        first.wait(60)
    with held(run):
        pass


def test_it_may_be_held_again_by_whoever_holds_it(tmp_path: Path) -> None:
    refused: list[str] = []

    def other() -> None:
        try:
            with held(tmp_path):
                pass
        except OutputError as error:
            refused.append(str(error))

    with held(tmp_path), held(tmp_path):
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with held(tmp_path):
        pass


def test_a_directory_that_nothing_came_into_goes_again(tmp_path: Path) -> None:
    with held(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / "manifest.json").exists()
    assert list(tmp_path.iterdir()) == []


def test_one_kind_is_not_another(tmp_path: Path) -> None:
    with held(tmp_path, "codingspot-bench"):
        (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="not a run directory"), held(tmp_path):
        pass


INPUTS = dict.fromkeys(("weights", "corpus", "evaluation_corpus", "evaluation_items"), "c0de" * 16)


@pytest.mark.parametrize(
    "files",
    [
        {"study.yaml": {}, "inputs.json": INPUTS, "plan.json": {}},
        {"study.yaml": {}, "inputs.json": INPUTS, "scores/manifest.json": {"format": "codingspot-scores"}},
        {"analysis/neurons.json": {"inputs": {}, "tables": [], "versions": {}}},
    ],
)
def test_a_run_made_before_there_were_manifests_is_known(files: dict[str, object], tmp_path: Path) -> None:
    for name, value in files.items():
        write_json(tmp_path / name, value)
    with held(tmp_path):
        pass
    assert names(tmp_path) >= {"manifest.json"}


@pytest.mark.parametrize(
    "files",
    [
        {"study.yaml": {}, "inputs.json": {}},
        {"study.yaml": {}, "inputs.json": {"weights": "w1.csv", "corpus": "c.csv"}, "plan.json": {}},
        {"study.yaml": {}, "inputs.json": INPUTS},
        {"study.yaml": {}, "plan.json": {}},
        {"study.yaml": {}, "inputs.json": {**INPUTS, "mine": "x"}, "plan.json": {}},
        {"analysis/mine.json": {"inputs": 1, "tables": 2, "versions": 3}},
    ],
)
def test_a_folder_of_the_user_with_files_named_as_in_a_run_is_no_run(files: dict[str, object], tmp_path: Path) -> None:
    for name, value in files.items():
        write_json(tmp_path / name, value)
    before = names(tmp_path)
    with pytest.raises(OutputError, match="not a run directory"), held(tmp_path):
        pass
    assert names(tmp_path) == before


@pytest.mark.parametrize("link", ["tables", "report.html", "analysis/density.parquet", "lost"])
def test_a_link_that_leads_out_is_refused(link: str, tmp_path: Path) -> None:
    run, mine = tmp_path / "run", tmp_path / "mine"
    with held(run):
        (run / "analysis").mkdir()
        (run / "plan.json").touch()
        (run / "inside").symlink_to("plan.json")
    if link != "lost":
        mine.mkdir()
    (run / link).symlink_to(mine)
    with pytest.raises(OutputError, match=f"{run / link} is a link to {mine}"), held(run):
        pass
    (run / link).unlink()
    (tmp_path / "alias").symlink_to(run)
    with held(tmp_path / "alias"):
        pass


@pytest.mark.parametrize("named", ["../../precious.txt", "{}/precious.txt", "a/../../../precious.txt", "."])
def test_a_renewed_folder_removes_nothing_outside_itself(named: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    folder = tmp_path / "run" / "tables"
    write_json(folder / "manifest.json", {"format": "codingspot-report", "files": [named.format(tmp_path)]})
    refused = pytest.raises(OutputError, match=r"manifest\.json was not written by codingspot")
    with refused, renewed_folder(folder, "codingspot-report") as temporary:
        (temporary / "new").touch()
    assert precious.read_text() == "mine"
    assert names(folder) == {"manifest.json"}


def test_a_renewed_folder_replaces_nothing_that_it_did_not_write(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "areas.csv").write_text("mine")

    def renew() -> None:
        with renewed_folder(folder, "codingspot-report") as temporary:
            for name in ("areas.csv", "areas.md"):
                (temporary / name).write_text("ours")

    for _ in range(2):
        with pytest.raises(OutputError, match=r"areas\.csv was not written by codingspot; move it away"):
            renew()
        assert names(folder) == {"areas.csv"}
    assert (folder / "areas.csv").read_text() == "mine"
    (folder / "areas.csv").unlink()
    renew()
    (folder / "areas.csv").unlink()
    (folder / "areas.csv").mkdir()
    with pytest.raises(OutputError, match=r"areas\.csv was not written"):
        renew()


def test_a_study_file_alone_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("mine")
    with pytest.raises(OutputError, match=r"study\.yaml"), held(tmp_path):
        pass


def test_a_renewed_folder_loses_what_it_wrote_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    for made in ("old", "new"):
        with renewed_folder(folder, "codingspot-report") as temporary:
            (temporary / made).write_text(made)
            (temporary / "both").write_text(made)
        (folder / "notes").write_text("mine")
    assert names(folder) == {"manifest.json", "new", "both", "notes"}
    assert (folder / "both").read_text() == "new"
    assert (folder / "notes").read_text() == "mine"
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(OutputError, match=r"manifest\.json"), renewed_folder(folder, "codingspot-report"):
        pass


def test_scratch_of_the_user_is_no_scratch(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "neurons").mkdir(parents=True)
    (tmp_path / "scratch" / "neurons" / "notes").write_text("mine")
    with pytest.raises(OutputError, match="notes"):
        Pieces(tmp_path, "neurons", {})
    assert scratch_folder(tmp_path, "lens") == scratch_folder(tmp_path, "lens")


def test_what_is_finished_of_a_folder_is_kept_beside_what_it_leads_to(tmp_path, monkeypatch) -> None:
    (tmp_path / "elsewhere" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "real")
    monkeypatch.chdir(tmp_path / "elsewhere" / "real")
    for target in (tmp_path / "link", Path()):  # a rename moves it in place, which another file system's couldn't
        with partial_folder(target) as folder:
            assert folder == tmp_path / "elsewhere" / "real.partial"
        assert not folder.exists()


def test_a_place_for_what_is_finished_that_is_somebody_else_s_is_refused(tmp_path) -> None:
    (tmp_path / "file.partial").write_text("mine")
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "mine").write_text("mine")
    (tmp_path / "link.partial").symlink_to(tmp_path)
    for name in ("file", "folder", "link"):
        refused = pytest.raises(
            OutputError, match=rf"{name}\.partial, where .* move it away, or choose another folder than"
        )
        with refused, partial_folder(tmp_path / name):
            raise AssertionError
    assert (tmp_path / "file.partial").read_text() == (tmp_path / "folder.partial" / "mine").read_text() == "mine"
