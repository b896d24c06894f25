"""One fork server as a child process: started when needed, started again when lost."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from codingspot.errors import SandboxError
from codingspot.sandbox.cgroup import ControlGroup
from codingspot.sandbox.inside.model import Limits, Outcome, Program, Verdict, last_line
from codingspot.sandbox.inside.wire import receive, send

_START_SECONDS = 30.0
_GRACE_SECONDS = 10.0
_LONGEST_RUN = 10  # times the limit: the server's patience with a program that waits for a processor
_ATTEMPTS = 2


class Worker:
    """A fork server and the pipe to it. Not for use by two threads at a time.

    Args:
        commands: commands that start a fork server; the first that works is used.
        environment: all its environment variables.
        settings: its first message.
        limits: the limits in ``settings``.
        groups: control group in which the server's own may be made; None if there is none.
    """

    def __init__(
        self,
        commands: Sequence[list[str]],
        environment: dict[str, str],
        settings: dict[str, Any],
        limits: Limits,
        groups: Path | None = None,
    ) -> None:
        self._commands = list(commands)
        self._environment = environment
        self._settings = settings
        self._limits = limits
        self._groups = groups
        self._group: ControlGroup | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._requests = self._answers = -1
        self._single_use = False

    def start(self) -> None:
        """Start the fork server unless it runs.

        Raises:
            SandboxError: no command works; the message is the last line of the last one's error.
        """
        if self._process is not None:
            return
        while True:
            problem = self._try(self._commands[0])
            if problem is None:
                return
            if self._groups is not None:
                self._groups = None  # what looked as if it might be used
                continue
            if len(self._commands) == 1:
                raise SandboxError(problem)
            del self._commands[0]

    def judge(self, program: Program) -> Outcome:
        """Run one program. A program with which the server is lost twice, or once by hanging, is KILLED.

        Raises:
            SandboxError: the server can't be started, or can't run programs any more.
        """
        for _ in range(_ATTEMPTS):
            self.start()
            try:
                outcome = self._ask(program)
            except TimeoutError:
                self.close()
                return Outcome(Verdict.KILLED, "its sandbox hung")
            except (EOFError, BrokenPipeError, ValueError, KeyError, TypeError):
                self.close()  # gone, or no longer making sense
                continue
            if self._single_use:
                self.close()
            return outcome
        return Outcome(Verdict.KILLED, "its sandbox died with it")

    def replace(self, commands: Sequence[list[str]], environment: dict[str, str], settings: dict[str, Any]) -> None:
        """End the server, and let the next be started by these, which are as for a new worker."""
        self.close()
        self._commands, self._environment, self._settings = list(commands), environment, settings

    def close(self) -> None:
        """End the server and everything in it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        group, self._group = self._group, None
        if group is not None:
            group.close()

    def _try(self, command: list[str]) -> str | None:
        """Start ``command``; None if it serves, else what it said."""
        with suppress(OSError):
            self._group = ControlGroup(self._groups) if self._groups else None
        events = None if self._group is None else self._group.events
        with tempfile.TemporaryFile() as errors:
            try:
                self._process = subprocess.Popen(
                    command if self._group is None else self._group.command(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._environment,
                    bufsize=0,
                    start_new_session=True,
                    pass_fds=[] if events is None else [events],
                )
                self._requests = _descriptor(self._process.stdin)
                self._answers = _descriptor(self._process.stdout)
                send(self._requests, {**self._settings, "memory_events": events})
                answer = receive(self._answers, time.monotonic() + _START_SECONDS)
                if self._group is not None:
                    self._group.limit(self._limits.memory_bytes)
            except TimeoutError:
                self.close()
                return f"no answer within {_START_SECONDS:.0f} s"
            except (EOFError, OSError) as error:
                self.close()
                errors.seek(0)
                return last_line(errors.read().decode(errors="replace")) or str(error) or "it ended at once"
        self._single_use = not answer["fresh"] and self._settings["isolated"]
        return None

    def _ask(self, program: Program) -> Outcome:
        send(self._requests, asdict(program))
        longest = _LONGEST_RUN * self._limits.seconds + _GRACE_SECONDS
        answer = receive(self._answers, time.monotonic() + longest)
        if "problem" in answer:
            self.close()
            raise SandboxError(f"the sandbox stopped working ({answer['problem']}): run again with fewer workers")
        return Outcome(Verdict(answer["verdict"]), answer["detail"])


def _descriptor(stream: IO[bytes] | None) -> int:
    assert stream is not None  # both streams of every process here are pipes
    return stream.fileno()
