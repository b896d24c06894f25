"""Verdicts on many programs at a time."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codingspot.errors import SandboxError
from codingspot.sandbox import bubblewrap
from codingspot.sandbox.cgroup import parent_group
from codingspot.sandbox.inside.model import Limits, Outcome, Program, Verdict
from codingspot.sandbox.packages import installed_files
from codingspot.sandbox.worker import Worker

_WAY_OUT = "or accept the risk and run generated programs unprotected with --unsafe-no-sandbox"
_OWN_PROCESS_COUNTS = (5, 14)  # since this kernel, a user's processes are counted by user namespace


class Sandbox:
    """Runs generated programs and says what became of each.

    Each worker is one bubblewrap with a fork server in it; each program gets a fresh process in namespaces of its
    own: no network but its own 127.0.0.1, a read-only root, an empty private /tmp, no view of other processes, and
    ``limits``. Where the system forbids nested namespaces, each program gets a bubblewrap of its own, at some cost in
    speed. Memory is counted by the kernel where this process may make control groups (version 2), else by looking at
    the processes every 25 ms.

    Args:
        limits: what one program may use.
        workers: programs that run at a time; None means one for each processor.
        unsafe: do without bubblewrap. Only resource limits and the time limit are left: programs can read and
            change whatever the user can.

    Raises:
        SandboxError: programs can't be run in isolation on this machine; the message says what to do.
    """

    def __init__(self, limits: Limits | None = None, workers: int | None = None, unsafe: bool = False) -> None:
        limits = limits or Limits()
        self._interpreters = bubblewrap.find_interpreters()
        self._bubblewrap = None if unsafe else _installed_bubblewrap()
        self._limits = _with_existing_processes(limits, unsafe)
        self._packages: dict[str, dict[str, Path]] = {}
        count, groups = workers or _processors(), parent_group()
        self._workers = [Worker(*self._server(), limits, groups) for _ in range(count)]
        # Servers die with the thread that started them, so threads live as long as the sandbox.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="sandbox")
        self._closed = False
        try:
            self._threads.submit(self._workers[0].start).result()
        except SandboxError as error:
            self.close()
            raise SandboxError(f"the sandbox can't start ({error}): {_advice(unsafe)}") from None

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        """Run programs, as many at a time as there are workers.

        Returns:
            One outcome for each program, in their order.

        Raises:
            SandboxError: the sandbox is closed, a program's language is unknown, its interpreter or a package isn't
                installed, or a worker can't be started any more.
        """
        if self._closed:
            raise SandboxError("the sandbox is closed; make a new one")
        self.require({program.language for program in programs})
        self.provide({name for program in programs for name in program.packages})
        outcomes = [Outcome(Verdict.EMPTY)] * len(programs)
        waiting = deque((index, program) for index, program in enumerate(programs) if not _is_empty(program))

        def work(worker: Worker) -> None:
            while waiting:
                with suppress(IndexError):
                    index, program = waiting.popleft()
                    outcomes[index] = worker.judge(program)

        jobs = [self._threads.submit(work, worker) for worker in self._workers[: len(waiting)]]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            waiting.clear()
            wait(jobs)
            raise
        return outcomes

    def provide(self, packages: Iterable[str]) -> None:
        """Have installed packages at hand, by the names they are imported by, for the programs that ask for them.

        ``run`` does so itself; done before, it tells what is missing while nothing has been run.

        Raises:
            SandboxError: a package isn't installed.
        """
        new = set(packages) - self._packages.keys()
        if not new:
            return
        self._packages |= {name: installed_files(name) for name in sorted(new)}
        for worker in self._workers:
            worker.replace(*self._server())

    @property
    def languages(self) -> frozenset[str]:
        """Languages whose interpreter is on this machine."""
        return frozenset(self._interpreters)

    def close(self) -> None:
        """End all workers and what runs in them."""
        self._closed = True
        self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _server(self) -> tuple[list[list[str]], dict[str, str], dict[str, Any]]:
        """Commands that start a fork server, to be tried in this order, its environment, and its first message."""
        settings = {"limits": asdict(self._limits), "isolated": self._bubblewrap is not None}
        if self._bubblewrap is None:
            paths = {name: str(path) for name, path in self._interpreters.items()}
            sites = {name: str(next(iter(files.values())).parent) for name, files in self._packages.items()}
            commands = [bubblewrap.unprotected_command(self._interpreters["python"])]
            environment = bubblewrap.environment(None)
        else:
            guests = {name: bubblewrap.guest(name, path) for name, path in self._interpreters.items()}
            paths = {name: interpreter.path for name, interpreter in guests.items()}
            sites = {name: bubblewrap.site(name) for name in self._packages}
            commands = bubblewrap.isolated_commands(self._bubblewrap, guests, self._packages)
            environment = bubblewrap.environment(guests["python"])
        return commands, environment, {**settings, "interpreters": paths, "sites": sites}

    def require(self, languages: Set[str]) -> None:
        """Make sure that programs in these languages can be run.

        Raises:
            SandboxError: a language is unknown, or its interpreter isn't installed.
        """
        for language in sorted(languages - self.languages):
            if language in ("javascript", "bash"):
                command = "node" if language == "javascript" else "bash"
                raise SandboxError(f"{language} programs need {command}, which isn't installed: install it")
            raise SandboxError(f"can't run {language!r} programs: choose python, javascript or bash")


def available() -> str | None:
    """Name and version of the sandbox that works on this machine ("bubblewrap 0.8.0"), None if none does."""
    path = bubblewrap.bubblewrap()
    if path is None:
        return None
    try:
        Sandbox(workers=1).close()
    except SandboxError:
        return None
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _installed_bubblewrap() -> str:
    path = bubblewrap.bubblewrap()
    if path is None:
        raise SandboxError(
            "bubblewrap is not installed: install it (for example: apt-get install bubblewrap), " + _WAY_OUT
        )
    return path


def _processors() -> int:
    """Processors that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_empty(program: Program) -> bool:
    written = program.source if program.completion is None else program.completion
    return not written.strip()


def _advice(unsafe: bool) -> str:
    if unsafe:
        return "check that this Python's standard library is complete"
    return f"allow bubblewrap to use namespaces (in a container: run it with --privileged), {_WAY_OUT}"


def _with_existing_processes(limits: Limits, unsafe: bool) -> Limits:
    """Raise the limit on processes by those that the user has, where the kernel counts them too."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    counted_apart = version is not None and tuple(map(int, version.groups())) >= _OWN_PROCESS_COUNTS
    if sys.platform != "linux" or (counted_apart and not unsafe):
        return limits
    existing = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid == os.getuid():
                existing += sum(1 for _ in (process / "task").iterdir())
    return replace(limits, processes=limits.processes + existing)
