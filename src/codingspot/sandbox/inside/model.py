"""The words both sides of the sandbox speak: programs, limits, verdicts, outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

DETAIL_LENGTH = 300


class Verdict(StrEnum):
    """What became of one program. Every program gets exactly one."""

    PASSED = "passed"
    """The program and its test ran to their end."""
    WRONG_ANSWER = "wrong answer"
    """The test ran and found a wrong answer."""
    EXCEPTION = "exception"
    """The program raised an error, or left before its test was finished."""
    SYNTAX_ERROR = "syntax error"
    """The program is not a program of its language."""
    EMPTY = "empty"
    """There is no program: the completion is blank."""
    TIMED_OUT = "timed out"
    """The program was stopped at its time limit."""
    KILLED = "killed"
    """The program was stopped at its memory, process or output limit, or died of a signal."""


@dataclass(frozen=True)
class Program:
    """One generated program with the test that decides about it.

    Attributes:
        language: "python", "javascript" or "bash".
        source: the whole candidate, prompt and completion together.
        test: source that runs after the candidate. Python: it raises AssertionError at a wrong answer, and if
            ``entry_point`` is given it defines ``check(candidate)``, which is then called with that function
            (HumanEval's convention). JavaScript: it throws an AssertionError (``console.assert`` does so too).
            Bash: it ends with status 1 at a wrong answer and 0 otherwise.
        entry_point: name of the function that ``check`` is called with; Python only.
        completion: what the model wrote. When given and blank, the verdict is EMPTY and nothing is run.
        tested: names that the test takes from the candidate even where they hide a builtin; Python only.
        packages: installed packages, by the names they are imported by, that the program may import beside the
            standard library; Python only.
    """

    language: str
    source: str
    test: str
    entry_point: str | None = None
    completion: str | None = None
    tested: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: time until the program is timed out. Time that its main process spent waiting for a processor isn't
            counted (up to nine times as much again), so that verdicts don't depend on what else the machine does.
        cpu_seconds: processor time of one process, rounded up to whole seconds; None means ``seconds`` plus one.
        memory_bytes: memory of all processes together, as the kernel counts it: private and shared pages, page
            tables, files in the temporary folder, socket buffers.
        processes: processes and threads that may exist at a time.
        output_bytes: standard output and error together.
        file_bytes: size of a file, and of the private temporary folder.
    """

    seconds: float = 3.0
    cpu_seconds: float | None = None
    memory_bytes: int = 512 * 2**20
    processes: int = 64
    output_bytes: int = 2**20
    file_bytes: int = 64 * 2**20

    @property
    def whole_cpu_seconds(self) -> int:
        """The processor time of one process as the kernel wants it."""
        return math.ceil(self.seconds + 1 if self.cpu_seconds is None else self.cpu_seconds)


@dataclass(frozen=True)
class Outcome:
    """The verdict on one program, and the last line of its error (at most 300 characters; empty when it passed)."""

    verdict: Verdict
    detail: str = ""


def last_line(text: str) -> str:
    """Last line of ``text`` that isn't blank, cut to the length a detail may have."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[-1][:DETAIL_LENGTH] if lines else ""
