"""The sandbox as its users meet it: order, load, lost workers, errors."""

from __future__ import annotations

import json
import os
import random
import stat
import sys
from pathlib import Path

import pytest

from codingspot.errors import SandboxError
from codingspot.sandbox import Limits, Outcome, Program, Sandbox, Verdict, available

KINDS = [
    (Program("python", "x = 1", "assert x == 1"), Verdict.PASSED),
    (Program("python", "x = 2", "assert x == 1"), Verdict.WRONG_ANSWER),
    (Program("python", "x = y", "assert x == 1"), Verdict.EXCEPTION),
    (Program("python", "x =", "assert x == 1"), Verdict.SYNTAX_ERROR),
    (Program("python", "", "assert x == 1"), Verdict.EMPTY),
    (Program("python", "import os\nos.abort()", ""), Verdict.KILLED),
    (Program("bash", "x=1", "[[ $x == 1 ]]"), Verdict.PASSED),
]


def test_outcomes_come_in_the_order_of_the_programs(any_sandbox: Sandbox) -> None:
    kinds = KINDS * 6
    random.Random(0).shuffle(kinds)
    outcomes = any_sandbox.run([program for program, _ in kinds])
    assert [outcome.verdict for outcome in outcomes] == [verdict for _, verdict in kinds]


def test_nothing_to_run(sandbox: Sandbox) -> None:
    assert sandbox.run([]) == []


def test_verdicts_do_not_depend_on_load(isolation: str) -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel doesn't tell how long a process waited for a processor")
    processors = os.sched_getaffinity(0)
    busy = "import time\nwhile time.process_time() < 0.4:\n    pass\n"
    os.sched_setaffinity(0, {min(processors)})
    try:
        with Sandbox(Limits(seconds=1.0), workers=4) as crowded:
            outcomes = crowded.run([Program("python", busy, "")] * 4)
    finally:
        os.sched_setaffinity(0, processors)
    assert outcomes == [Outcome(Verdict.PASSED)] * 4


def test_killed_worker_is_replaced(sandbox: Sandbox) -> None:
    program = Program("python", "x = 1", "assert x == 1")
    assert sandbox.run([program] * 4) == [Outcome(Verdict.PASSED)] * 4
    for worker in sandbox._workers:
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
    assert sandbox.run([program] * 4) == [Outcome(Verdict.PASSED)] * 4


def test_closed_sandbox_refuses(isolation: str) -> None:
    with Sandbox(workers=1) as closed:
        pass
    with pytest.raises(SandboxError, match="closed"):
        closed.run([KINDS[0][0]])


def test_unknown_language(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="can't run 'cobol' programs: choose python, javascript or bash"):
        sandbox.run([Program("cobol", "x", "")])


def test_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, isolation: str) -> None:
    bwrap = next(Path(folder, "bwrap") for folder in os.get_exec_path() if Path(folder, "bwrap").exists())
    (tmp_path / "bwrap").symlink_to(bwrap)
    monkeypatch.setenv("PATH", str(tmp_path))
    with Sandbox(workers=1) as sandbox:
        assert sandbox.languages == {"python"}
        with pytest.raises(SandboxError, match="need node, which isn't installed"):
            sandbox.run([Program("javascript", "1", "")])


def test_without_bubblewrap_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"install it .*apt-get install bubblewrap.*--unsafe-no-sandbox"):
        Sandbox()
    assert available() is None


def test_where_namespaces_are_forbidden_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(refusing.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match=r"Operation not permitted.*namespaces.*--unsafe-no-sandbox") as raised:
        Sandbox()
    assert "\n" not in str(raised.value)
    assert available() is None


def test_sandbox_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent = tmp_path / "bwrap"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(silent.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("codingspot.sandbox.worker._START_SECONDS", 0.2)
    with pytest.raises(SandboxError, match="no answer"):
        Sandbox()


def test_available_names_the_sandbox(isolation: str) -> None:
    assert isolation.startswith("bubblewrap ")


def test_unsafe_programs_still_get_an_empty_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODINGSPOT_TEST_TOKEN", "do-not-tell")
    with Sandbox(workers=1, unsafe=True) as sandbox:
        program = Program("python", "import os\nfound = 'CODINGSPOT_TEST_TOKEN' in os.environ", "assert not found")
        assert sandbox.run([program]) == [Outcome(Verdict.PASSED)]


def test_many_large_programs(sandbox: Sandbox) -> None:
    text = json.dumps("x" * 300_000)
    program = Program("python", f"text = {text}", "assert len(text) == 300_000")
    assert sandbox.run([program] * 6) == [Outcome(Verdict.PASSED)] * 6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closing_ends_every_process(isolation: str) -> None:
    made = Sandbox(workers=1)
    worker = made._workers[0]._process
    assert worker is not None
    made.close()
    assert worker.poll() is not None
