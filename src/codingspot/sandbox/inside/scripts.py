"""Runs JavaScript and Bash programs: the interpreter replaces the process that was forked for the program."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from .model import Program, Verdict, last_line
from .supervisor import FINISHED, REPORT_DESCRIPTOR, report

_DRIVER = Path(__file__).parent / "javascript_driver.js"

# An assignment takes Bash to POSIX mode, where no function of the candidate's can stand in for unset; a mode that
# leaves one option on behind it.
_BASH_DRIVER = f""". /dev/fd/%d
POSIXLY_CORRECT=1; unset -f builtin exit return; unset POSIXLY_CORRECT
builtin shopt -u inherit_errexit
. /dev/fd/%d
case $? in 0) ;; *) builtin exit;; esac
builtin echo {FINISHED} >&{REPORT_DESCRIPTOR}
builtin read -r secret <&{REPORT_DESCRIPTOR}
builtin printf '%%s\\n{Verdict.PASSED}\\n' "$secret" >&{REPORT_DESCRIPTOR}
"""


def run_javascript(node: str, program: Program, memory_bytes: int) -> None:
    """Become Node, which reads the driver, which reads the job from standard input."""
    job = {
        "source": program.source,
        "test": program.test,
        "finished": FINISHED,
        "descriptor": REPORT_DESCRIPTOR,
    }
    os.dup2(_file_with(json.dumps(job)), 0)
    heap = f"--max-old-space-size={memory_bytes // 2**20}"
    os.execv(node, [node, heap, str(_DRIVER)])


def run_bash(bash: str, program: Program) -> None:
    """Check the candidate's syntax, then become Bash, running candidate and test one after the other.

    They are files of their own, so that no end of the candidate can take a line of the test into it.
    """
    candidate, test = _file_with(program.source), _file_with(program.test)
    problem = _bash_problem(bash, candidate)
    if problem is not None:
        report(Verdict.SYNTAX_ERROR, problem)
        os._exit(0)
    driver = _file_with(_BASH_DRIVER % (candidate, test))
    os.execv(bash, ["bash", "--noprofile", "--norc", f"/dev/fd/{driver}"])


def _bash_problem(bash: str, candidate: int) -> str | None:
    """Last line that Bash says of a file that isn't a Bash program; None if it is one. Nothing of it is run."""
    with tempfile.TemporaryFile() as said:
        actions = [(os.POSIX_SPAWN_DUP2, said.fileno(), 2)]
        command = ["bash", "--noprofile", "--norc", "-n", f"/dev/fd/{candidate}"]
        pid = os.posix_spawn(bash, command, os.environ, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        said.seek(0)
        return last_line(said.read().decode(errors="replace")) if status else None


def _file_with(text: str) -> int:
    """Descriptor of a file without a name, at its start, for this process and those it becomes or starts."""
    with tempfile.TemporaryFile() as file:
        file.write(text.encode("utf-8", errors="surrogatepass"))
        file.seek(0)
        descriptor = os.dup(file.fileno())
    os.set_inheritable(descriptor, True)
    return descriptor
