"""Control groups: which may be used, and what is done with one; the kernel's files are plain files here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from codingspot.sandbox import Limits, Program, Sandbox, Verdict, cgroup
from codingspot.sandbox.cgroup import ControlGroup, parent_group


def groups(root: Path, controllers: dict[str, str]) -> Path:
    """Control groups by path, each with the controllers of its children; returns the root."""
    for path, names in controllers.items():
        folder = root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(names + "\n")
        (folder / "cgroup.procs").write_text("")
    return root


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [
        ({"": "cpu memory", "user": "cpu memory", "user/shell": ""}, "user"),
        ({"": "cpu memory", "user": "cpu", "user/shell": ""}, ""),
        ({"": "cpu", "user": "pids", "user/shell": ""}, None),
        ({"": "memory", "user": "memory", "user/shell": "memory"}, "user/shell"),
    ],
)
def test_the_nearest_group_whose_children_have_memory_counted(
    tmp_path: Path, controllers: dict[str, str], expected: str | None
) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n0::/user/shell\n")
    root = groups(tmp_path / "root", controllers)
    assert parent_group(root, own) == (None if expected is None else root / expected)


def test_no_groups_of_version_2(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/\n")
    assert parent_group(tmp_path, own) is None
    own.write_text("0::/\n")
    assert parent_group(tmp_path, own) is None
    assert parent_group(tmp_path, tmp_path / "missing") is None


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the next control group will be, with the files that the kernel would put there."""
    folder = tmp_path / "codingspot-1"
    folder.mkdir()
    for name, text in {
        "memory.events": "low 0\noom 0\noom_kill 0\n",
        "memory.current": "1000",
        "cgroup.procs": "",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(cgroup, "mkdtemp", lambda **_: str(folder))
    monkeypatch.setattr(cgroup, "_END_SECONDS", 0.0)
    return folder


def test_a_command_enters_its_group_and_keeps_its_process(made: Path) -> None:
    group = ControlGroup(made.parent)
    process = subprocess.run(group.command(["/bin/sh", "-c", "echo $$"]), capture_output=True, text=True, check=True)
    assert (made / "cgroup.procs").read_text() == process.stdout
    group.limit(500)
    assert (made / "memory.max").read_text() == "1500"
    assert (made / "memory.swap.max").read_text() == "0"
    group.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(group.events)


def test_the_verdict_is_the_kernels_where_it_counts(
    isolation: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codingspot.sandbox.sandbox.parent_group", lambda: made.parent)
    with Sandbox(Limits(seconds=20.0), workers=1) as sandbox:
        assert sandbox.run([Program("python", "x = 1", "")])[0].verdict == Verdict.PASSED
        (made / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
        assert sandbox.run([Program("python", "x = 1", "")])[0].verdict == Verdict.PASSED
        waits = "import time\ntime.sleep(60)"
        events = made / "memory.events"
        killer = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; echo 'oom_kill 2' > {events}"])
        (outcome,) = sandbox.run([Program("python", waits, "")])
        killer.wait()
    assert (outcome.verdict, outcome.detail) == (
        Verdict.KILLED,
        f"used more than {Limits().memory_bytes} bytes of memory (counted by its control group)",
    )


def test_where_a_group_cannot_be_entered_the_sandbox_does_without(
    isolation: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made / "cgroup.procs").unlink()
    (made / "cgroup.procs").mkdir()
    monkeypatch.setattr("codingspot.sandbox.sandbox.parent_group", lambda: made.parent)
    with Sandbox(Limits(seconds=20.0), workers=1) as sandbox:
        assert sandbox.run([Program("python", "x = 1", "")])[0].verdict == Verdict.PASSED
