"""Where a program's process lives: what it can see, reach and use.

``FreshJail`` puts every program into a process-id namespace of its own (it sees and signals nobody else, and all it
started dies with its first process) and a mount namespace of its own (private, empty /tmp). As the first process
there, a program can end itself by a fault or by leaving, but not by sending itself a signal. ``SharedJail`` is what
is left where nested namespaces are forbidden, or without bubblewrap: a process group and a new folder. Inside
bubblewrap its sandbox is then used for a single program.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from . import linux, seccomp
from .model import Limits

_NOBODY = 65534
_INNER_ID = 1000
_OPEN_FILES = 256
_OWN_PROCESSES = 2  # the fork server and its parent count as processes of the same user


class Jail(ABC):
    """Makes the process of one program at a time, confined, and ends it."""

    def __init__(self, limits: Limits) -> None:
        self._address_space = _limit(resource.RLIMIT_AS, limits.memory_bytes)
        self._data = _limit(resource.RLIMIT_DATA, limits.memory_bytes)
        self._other_resources = [
            _limit(resource.RLIMIT_CPU, limits.whole_cpu_seconds),
            _limit(resource.RLIMIT_NPROC, limits.processes + _OWN_PROCESSES),
            _limit(resource.RLIMIT_FSIZE, limits.file_bytes),
            _limit(resource.RLIMIT_NOFILE, _OPEN_FILES),
            _limit(resource.RLIMIT_CORE, 0),
        ]

    @abstractmethod
    def fork(self) -> int:
        """Fork; like ``os.fork``, 0 in the child, which must call ``enter`` before anything else."""

    @abstractmethod
    def enter(self, address_space: bool) -> None:
        """Confine this process for good and go to its private folder.

        ``address_space`` says whether memory is limited by address space or, for runtimes that reserve much more of
        it than they use, by data.

        Raises:
            OSError: the kernel refuses.
        """

    @abstractmethod
    def kill(self, pid: int) -> None:
        """End the process ``pid`` that ``fork`` returned."""

    @abstractmethod
    def clear(self, pid: int) -> None:
        """Remove what process ``pid``, which has ended, left: further processes and files."""

    def _limit_resources(self, address_space: bool) -> None:
        memory = self._address_space if address_space else self._data
        for kind, values in (memory, *self._other_resources):
            resource.setrlimit(kind, values)


def _limit(kind: int, value: int) -> tuple[int, tuple[int, int]]:
    """A resource and its new soft and hard limit, which may not be above the hard limit of today."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return kind, (value, value)


class FreshJail(Jail):
    """New namespaces for every program. Needs a process that went through ``start_nested``."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._folder_options = f"size={limits.file_bytes},nr_inodes=4096,mode=700".encode()
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def fork(self) -> int:
        """Fork a child that is the first process of a new namespace."""
        linux.unshare(linux.NEW_PIDS)
        pid = os.fork()
        if pid:
            linux.enter_namespace(self._own_pids, linux.NEW_PIDS)
        return pid

    def enter(self, address_space: bool) -> None:
        """Leave everything behind but a read-only root and an empty /tmp, which is /dev/shm as well."""
        os.setsid()
        linux.unshare(linux.NEW_MOUNTS | linux.NEW_IPC)
        linux.mount(b"tmpfs", b"/tmp", b"tmpfs", linux.NO_SUID | linux.NO_DEVICES, self._folder_options)
        linux.mount(b"/tmp", b"/dev/shm", b"", linux.BIND)
        linux.mount_processes(linux.READ_ONLY)
        os.chdir("/tmp")
        self._limit_resources(address_space)
        linux.drop_capabilities()
        linux.forbid_new_privileges()
        seccomp.install()

    def kill(self, pid: int) -> None:
        """End the first process of the namespace, upon which the kernel ends the others."""
        os.kill(pid, signal.SIGKILL)

    def clear(self, pid: int) -> None:
        """Nothing is left: the namespaces ended with the process."""


class SharedJail(Jail):
    """A process group and a folder for every program, nothing more."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._folder: str | None = None
        if sys.platform == "linux":
            linux.set_dumpable(False)  # closes this process's /proc entry, with its pipes, to the programs

    def fork(self) -> int:
        """Make a folder, and fork."""
        self._folder = tempfile.mkdtemp(prefix="codingspot-")
        return os.fork()

    def enter(self, address_space: bool) -> None:
        """Become a process group in the folder; other systems than Linux limit time and output only."""
        assert self._folder is not None
        os.setsid()
        os.chdir(self._folder)
        os.environ.update(HOME=self._folder, TMPDIR=self._folder)
        if sys.platform == "linux":
            self._limit_resources(address_space)
            linux.drop_capabilities()
            linux.set_dumpable(True)
            linux.die_with_parent()
            linux.forbid_new_privileges()
            seccomp.install()

    def kill(self, pid: int) -> None:
        """End the program's first process."""
        os.kill(pid, signal.SIGKILL)

    def clear(self, pid: int) -> None:
        """End what is left of the process group, and remove the folder."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def leave_root() -> None:
    """Become an ordinary user if this is root, because the kernel doesn't limit the number of root's processes.

    Raises:
        OSError: the kernel refuses.
    """
    if os.getuid() == 0:
        linux.mount_processes()  # bubblewrap's own is partly covered, which would forbid the programs to have one
        linux.become(_NOBODY)


def start_nested() -> None:
    """Return in a child that has all powers over new user, process-id and mount namespaces, but none outside them.

    The process that called waits for the child and ends with it.

    Raises:
        OSError: the kernel refuses nested namespaces. This process, or the child, can still fork as usual.
    """
    user, group = os.getuid(), os.getgid()
    linux.unshare(linux.NEW_USER)
    linux.map_ids(_INNER_ID, user, group)
    linux.unshare(linux.NEW_PIDS | linux.NEW_MOUNTS)
    pid = os.fork()
    if pid:
        _end_with(pid)
    linux.mount(b"none", b"/", b"", linux.RECURSIVE | linux.PRIVATE)
    linux.mount_processes()


def _end_with(pid: int) -> NoReturn:
    os.closerange(0, _OPEN_FILES)
    _, status = os.waitpid(pid, 0)
    os._exit(abs(os.waitstatus_to_exitcode(status)))


def other_processes() -> list[int]:
    """Process ids in this namespace other than this process and the namespace's first."""
    own = {1, os.getpid()}
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and int(entry.name) not in own]


def memory_in_use(pids: list[int], enough: int) -> int:
    """Bytes of anonymous memory that these processes hold, and of files in this process's own /tmp.

    If that is more than ``enough``, it is counted again, exactly: pages that processes share counted once.
    """
    folder = os.statvfs("/tmp")
    files = (folder.f_blocks - folder.f_bfree) * folder.f_frsize
    total = files + sum(map(_resident, pids))
    return total if total <= enough else files + sum(map(_proportional, pids))


def _resident(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # the process has ended
        return 0
    return (int(fields[1]) - int(fields[2])) * resource.getpagesize()


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended, or hides from everybody
        return _resident(pid)
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
