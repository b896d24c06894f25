"""Runs one process in a jail and watches over it until it ends, by itself or by force."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .jail import Jail, memory_in_use, other_processes
from .model import Limits, Verdict

REPORT_DESCRIPTOR = 137
"""Where a program's process reports its end; a number that shell scripts don't use by habit."""

_INTERVAL = 0.025  # seconds between two looks at a running program
_PATIENCE = 10  # a starved program gets at most this many times its time limit
_TAIL = 4096
_TROUBLE_DESCRIPTOR = REPORT_DESCRIPTOR + 1  # open only until the process is confined
_LAST_DESCRIPTOR = 1024

Body = Callable[[str], None]
"""What a program's process does; its argument is the secret that its report must begin with, on a line of its own."""


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        exit_code: its exit status, or minus the signal that ended it.
        report: what it wrote to the report descriptor after the secret; None without the secret.
        error: the end of what it wrote to standard output and error.
        stopped: the verdict and the reason when it was stopped by force.
    """

    exit_code: int
    report: str | None
    error: str
    stopped: tuple[Verdict, str] | None


class Supervisor:
    """Runs processes, one at a time. ``isolated`` says that all processes in sight are the program's."""

    def __init__(self, jail: Jail, limits: Limits, isolated: bool) -> None:
        self._jail = jail
        self._limits = limits
        self._isolated = isolated
        # A pipe that becomes readable when a child ends, so that one poll waits for that and for output.
        self._wake, wake_write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def run(self, body: Body, address_space: bool = True) -> Ending:
        """Run ``body`` in a new confined process and wait for its end.

        Raises:
            RuntimeError: the process can't be confined; nothing was run in it.
        """
        secret = os.urandom(16).hex()
        pipes = [os.pipe() for _ in range(3)]
        (output, _), (report, _), (trouble, _) = pipes
        try:
            started = time.monotonic()
            pid = self._jail.fork()
            if pid == 0:
                self._be_program(body, secret, [writer for _, writer in pipes], address_space)
            for reader, writer in pipes:
                os.close(writer)
                os.set_blocking(reader, False)
            error, status, stopped = self._watch(pid, started, output)
            refusal = _read_rest(trouble)
            if refusal:
                raise RuntimeError(f"a program can't be confined: {refusal}")
            head, _, tail = _read_rest(report).partition("\n")
            exit_code = os.waitstatus_to_exitcode(status)
            return Ending(exit_code, tail if head == secret else None, error, stopped)
        finally:
            for reader, _ in pipes:
                os.close(reader)

    def _be_program(self, body: Body, secret: str, writers: list[int], address_space: bool) -> None:
        """In the child: tie the loose ends, enter the jail, run. Never returns."""
        output, report, trouble = writers
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(report, REPORT_DESCRIPTOR)
            os.dup2(trouble, _TROUBLE_DESCRIPTOR)
            os.closerange(3, REPORT_DESCRIPTOR)
            os.closerange(_TROUBLE_DESCRIPTOR + 1, _LAST_DESCRIPTOR)
            try:
                self._jail.enter(address_space)
            except OSError as error:
                os.write(_TROUBLE_DESCRIPTOR, str(error).encode())
                return
            os.close(_TROUBLE_DESCRIPTOR)
            body(secret)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(1)

    def _watch(self, pid: int, started: float, output: int) -> tuple[str, int, tuple[Verdict, str] | None]:
        """Wait for the end: the end of the output, the wait status, and the reason if it came by force."""
        poller = select.poll()
        poller.register(output, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        tail, written = b"", 0
        stopped = None
        next_look = started + _INTERVAL
        while True:
            for descriptor, _ in poller.poll(_INTERVAL * 1000):
                data = os.read(descriptor, 65536)
                if descriptor != output:
                    continue
                if not data:
                    poller.unregister(output)
                tail = (tail + data)[-_TAIL:]
                written += len(data)
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            now = time.monotonic()
            stopped = self._too_long(pid, now - started) or self._too_loud(written)
            if stopped is None and self._isolated and now > next_look:
                stopped = self._too_large()
                next_look = now + _INTERVAL
            if stopped:
                self._jail.kill(pid)
                _, status, usage = os.wait4(pid, 0)
                break
        self._jail.clear(pid)
        cpu = self._limits.whole_cpu_seconds
        # The kernel enforces the limit by counting ticks, which on a busy machine runs ahead of the time measured.
        if stopped is None and os.WIFSIGNALED(status) and usage.ru_utime + usage.ru_stime > 0.8 * cpu:
            stopped = Verdict.TIMED_OUT, f"used {cpu} s of processor time"
        return tail.decode(errors="replace") + _read_rest(output), status, stopped

    def _too_long(self, pid: int, elapsed: float) -> tuple[Verdict, str] | None:
        seconds = self._limits.seconds
        if elapsed <= seconds:
            return None
        # Many processes starve each other, for which they get no credit.
        competitors = len(other_processes()) if self._isolated else 1
        credit = _starved(pid) / max(1, competitors)
        if elapsed <= min(seconds + credit, _PATIENCE * seconds):
            return None
        return Verdict.TIMED_OUT, f"ran longer than {seconds} s"

    def _too_loud(self, written: int) -> tuple[Verdict, str] | None:
        if written > self._limits.output_bytes:
            return Verdict.KILLED, f"wrote more than {self._limits.output_bytes} bytes of output"
        return None

    def _too_large(self) -> tuple[Verdict, str] | None:
        limits, pids = self._limits, other_processes()
        if len(pids) > limits.processes:
            return Verdict.KILLED, f"started more than {limits.processes} processes"
        if memory_in_use(pids, limits.memory_bytes) > limits.memory_bytes:
            return Verdict.KILLED, f"used more than {limits.memory_bytes} bytes of memory"
        return None


def _starved(pid: int) -> float:
    """Seconds that the main thread of a process was ready to run but had no processor."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _read_rest(descriptor: int) -> str:
    """What is left in a pipe that nobody writes to any more, up to its capacity."""
    try:
        return os.read(descriptor, 65536).decode(errors="replace")
    except BlockingIOError:
        return ""
