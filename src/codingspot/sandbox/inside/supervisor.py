"""Runs one process in a jail and watches over it until it ends, by itself or by force.

Only a report with the secret of its program counts. The supervisor keeps the secret, and hands it out once, to who
says that the test is over: until then it is nowhere in the program's process, nor in a file or pipe of its.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from os import read, write  # out of reach of a program that replaces them in os
from pathlib import Path

from .jail import Jail
from .model import DETAIL_LENGTH, Limits, Verdict
from .usage import memory_in_use, other_processes

REPORT_DESCRIPTOR = 137
"""Socket by which a program's process reports its end; a number that shell scripts don't use by habit."""

FINISHED = "finished"
"""What the process says there, on a line, when the test is over; the answer is the secret, on a line."""

_INTERVAL = 0.025  # seconds between two looks at a running program
_PATIENCE = 10  # a starved program gets at most this many times its time limit
_TAIL = 4096
_LONGEST_REPORT = 65536
_TROUBLE_DESCRIPTOR = REPORT_DESCRIPTOR + 1  # open only until the process is confined
_LAST_DESCRIPTOR = 1024

Body = Callable[[], None]
"""What a program's process does; at its end comes ``report``, or the same in another language."""


def report(verdict: Verdict, detail: str = "") -> None:
    """In a program's process, after its test: say what became of it."""
    write(REPORT_DESCRIPTOR, f"{FINISHED}\n".encode())
    secret = read(REPORT_DESCRIPTOR, 64).decode()
    write(REPORT_DESCRIPTOR, f"{secret}{verdict}\n{detail[:DETAIL_LENGTH]}".encode(errors="replace"))


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
    """Runs processes, one at a time.

    Args:
        jail: where they run.
        limits: what one of them may use, with all that it starts.
        isolated: all processes in sight are the program's.
        memory_events: descriptor of the ``memory.events`` of the control group that all of this belongs to and that
            limits the memory; None to have the memory in use counted here, at intervals.
    """

    def __init__(self, jail: Jail, limits: Limits, isolated: bool, memory_events: int | None = None) -> None:
        self._jail = jail
        self._limits = limits
        self._isolated = isolated
        self._memory_events = memory_events
        # A pipe that becomes readable when a child ends, so that one poll waits for that and for output.
        self._wake, wake_write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def run(self, body: Body) -> Ending:
        """Run ``body`` in a new confined process and wait for its end.

        Raises:
            RuntimeError: the process can't be confined; nothing was run in it.
        """
        self._jail.prepare()
        pipes = [os.pipe() for _ in range(2)]
        (output, _), (trouble, _) = pipes
        ours, theirs = socket.socketpair()
        try:
            started = time.monotonic()
            pid = self._jail.fork()
            if pid == 0:
                self._be_program(body, [theirs.fileno(), *(writer for _, writer in pipes)])
            theirs.close()
            for reader, writer in pipes:
                os.close(writer)
                os.set_blocking(reader, False)
            report = _Report(ours)
            error, status, stopped = self._watch(pid, started, output, report)
            refusal = _read_rest(trouble)
            if refusal:
                raise RuntimeError(f"a program can't be confined: {refusal}")
            return Ending(os.waitstatus_to_exitcode(status), report.text(), error, stopped)
        finally:
            ours.close()
            for reader, _ in pipes:
                os.close(reader)

    def _be_program(self, body: Body, descriptors: list[int]) -> None:
        """In the child: tie the loose ends, enter the jail, run. Never returns."""
        report, output, trouble = descriptors
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
                if self._memory_events is not None:
                    # Where the group's memory is full the kernel then ends this process, not the fork server.
                    Path("/proc/self/oom_score_adj").write_text("1000")
                self._jail.enter()
            except OSError as error:
                os.write(_TROUBLE_DESCRIPTOR, str(error).encode())
                return
            os.close(_TROUBLE_DESCRIPTOR)
            body()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(1)

    def _watch(
        self, pid: int, started: float, output: int, report: _Report
    ) -> tuple[str, int, tuple[Verdict, str] | None]:
        """Wait for the end: the end of the output, the wait status, and the reason if it came by force."""
        poller = select.poll()
        poller.register(output, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        poller.register(report.descriptor, select.POLLIN)
        tail, written = b"", 0
        out_of_memory = self._times_out_of_memory()
        stopped = None
        next_look = started + _INTERVAL
        while True:
            for descriptor, _ in poller.poll(_INTERVAL * 1000):
                if descriptor == report.descriptor:
                    if not report.read():
                        poller.unregister(descriptor)
                    continue
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
                stopped = self._too_many() or self._too_large(out_of_memory)
                next_look = now + _INTERVAL
            if stopped:
                self._jail.kill(pid)
                _, status, usage = os.wait4(pid, 0)
                break
        self._jail.clear(pid)
        if stopped is None and self._memory_events is not None:
            stopped = self._too_large(out_of_memory)
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

    def _too_many(self) -> tuple[Verdict, str] | None:
        if len(other_processes()) > self._limits.processes:
            return Verdict.KILLED, f"started more than {self._limits.processes} processes"
        return None

    def _too_large(self, out_of_memory: int) -> tuple[Verdict, str] | None:
        most = self._limits.memory_bytes
        if self._memory_events is not None:
            exceeded, counted = self._times_out_of_memory() > out_of_memory, "by its control group"
        else:
            exceeded, counted = memory_in_use(other_processes(), most) > most, f"every {_INTERVAL * 1000:.0f} ms"
        return (Verdict.KILLED, f"used more than {most} bytes of memory (counted {counted})") if exceeded else None

    def _times_out_of_memory(self) -> int:
        """How many processes the kernel has ended because the control group's memory was full."""
        if self._memory_events is None:
            return 0
        lines = os.pread(self._memory_events, 4096, 0).decode().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


class _Report:
    """The supervisor's end of the socket by which a program reports."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._secret = os.urandom(16).hex()
        self._said = b""
        self._answered = False
        self.descriptor = ours.fileno()

    def read(self) -> bool:
        """Take what was said, and answer it if it begins as it should; False at the end."""
        data = b""
        with suppress(OSError):
            data = self._socket.recv(65536)
        self._said = (self._said + data)[:_LONGEST_REPORT]
        if data and not self._answered:
            self._answer()
        return bool(data)

    def _answer(self) -> None:
        request = f"{FINISHED}\n".encode()
        with suppress(OSError):
            if self._said == request:
                self._answered = True
                self._socket.send(f"{self._secret}\n".encode())
            elif not request.startswith(self._said):
                self._socket.shutdown(socket.SHUT_WR)  # somebody else has spoken: there will be no secret

    def text(self) -> str | None:
        """What was reported after the secret; None without it."""
        while self.read():
            pass
        finished, _, rest = self._said.decode(errors="replace").partition("\n")
        secret, _, text = rest.partition("\n")
        return text if (finished, secret) == (FINISHED, self._secret) else None


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
