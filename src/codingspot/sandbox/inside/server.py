"""The fork server: reads programs from a pipe, runs each in a process of its own, answers with a verdict.

How a pass is told from a pretended one: only a report that begins with a secret counts, made anew for each program,
which the supervisor hands out when the test is over. Leaving early (``sys.exit``, ``os._exit``), printing, catching
exceptions or closing files can therefore only lose a pass. A program written to cheat this very sandbox can still
speak the runner's part in the report, as it can make an object that equals everything; it then lies about itself
alone, for it has no way to the server, to other programs or to the machine.
"""

from __future__ import annotations

import gc
import os
from functools import partial
from typing import Any

from . import python_runner, scripts
from .jail import FreshJail, Jail, SharedJail, leave_root, start_nested
from .model import Limits, Outcome, Program, Verdict, last_line
from .supervisor import Ending, Supervisor
from .wire import receive, send

# Loaded once here, these cost a program nothing; but every fork copies the tables of what is loaded, so that rarer
# modules (each takes a program that needs it a few milliseconds) would cost more than they save.
_USUAL_IMPORTS = (
    *("bisect", "collections", "copy", "dataclasses", "datetime", "functools", "heapq", "itertools", "math"),
    *("operator", "random", "re", "string", "typing"),
)


class Server:
    """Gives verdicts on programs with the interpreters it was told of."""

    def __init__(
        self, supervisor: Supervisor, interpreters: dict[str, str], sites: dict[str, str], limits: Limits
    ) -> None:
        self._supervisor = supervisor
        self._interpreters = interpreters
        self._sites = sites
        self._limits = limits

    def judge(self, program: Program) -> Outcome:
        """Run one program and say what became of it.

        Raises:
            RuntimeError: programs can't be confined any more.
        """
        if program.language == "python":
            return _outcome(self._supervisor.run(partial(python_runner.run, program, self._sites)))
        if program.language == "javascript":
            node, memory = self._interpreters["javascript"], self._limits.memory_bytes
            body = partial(scripts.run_javascript, node, program, memory)
            return _outcome(self._supervisor.run(body))
        return self._judge_bash(program, self._interpreters["bash"])

    def _judge_bash(self, program: Program, bash: str) -> Outcome:
        ending = self._supervisor.run(partial(scripts.run_bash, bash, program))
        outcome = _outcome(ending)
        wrong = outcome.verdict == Verdict.EXCEPTION and ending.exit_code == 1
        return Outcome(Verdict.WRONG_ANSWER, outcome.detail) if wrong else outcome


def _outcome(ending: Ending) -> Outcome:
    if ending.stopped:
        return Outcome(*ending.stopped)
    if ending.report is not None:
        verdict, _, detail = ending.report.partition("\n")
        return Outcome(Verdict(verdict) if verdict in set(Verdict) else Verdict.EXCEPTION, last_line(detail))
    if ending.exit_code < 0:
        return Outcome(Verdict.KILLED, f"ended by signal {-ending.exit_code}")
    left = f"left with status {ending.exit_code} before the end of its test"
    return Outcome(Verdict.EXCEPTION, last_line(ending.error) or left)


def main() -> None:
    """Serve the pipe on standard input and output until it closes.

    The first message is the settings, answered by whether every program gets namespaces of its own; every further
    one is a program, answered by its outcome, or by the problem that keeps the server from running programs.

    Raises:
        OSError, RuntimeError: programs can't be run here.
    """
    requests, answers = _take_over_standard_streams()
    os.environ.pop("LD_LIBRARY_PATH", None)  # it is this interpreter's own affair
    settings = receive(requests)
    for name in _USUAL_IMPORTS:
        __import__(name)
    gc.collect()
    gc.freeze()
    gc.disable()
    server, fresh = _start(settings)
    send(answers, {"fresh": fresh})
    while True:
        try:
            program = Program(**receive(requests))
        except EOFError:
            return
        try:
            outcome = server.judge(program)
        except (OSError, RuntimeError) as error:
            send(answers, {"problem": f"{type(error).__name__}: {error}"})
            raise
        send(answers, {"verdict": outcome.verdict, "detail": outcome.detail})


def _start(settings: dict[str, Any]) -> tuple[Server, bool]:
    """A server with the best jail that works here, and whether that gives every program namespaces of its own."""
    limits, isolated = Limits(**settings["limits"]), settings["isolated"]

    def server_with(jail: Jail) -> Server:
        supervisor = Supervisor(jail, limits, isolated, settings["memory_events"])
        server = Server(supervisor, settings["interpreters"], settings["sites"], limits)
        outcome = server.judge(Program("python", "", ""))
        if outcome.verdict != Verdict.PASSED:
            raise RuntimeError(f"an empty program got the verdict '{outcome.verdict}' ({outcome.detail})")
        return server

    if isolated:
        leave_root()
        try:
            start_nested()
            return server_with(FreshJail(limits)), True
        except (OSError, RuntimeError):
            pass
    return server_with(SharedJail(limits)), False


def _take_over_standard_streams() -> tuple[int, int]:
    """Move the pipes away from 0 and 1, where programs would find them, and put /dev/null there."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return requests, answers
