"""Where a program's process lives: what it can see, reach and use.

``FreshJail`` puts every program into namespaces of its own: of process ids (it sees and signals nobody else, and all
it started dies with its first process), of mounts (a private, empty /tmp), of the network (nobody but its own
processes at 127.0.0.1, all ports and abstract sockets free) and of System V objects. As the first process
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
from typing import NoReturn

from . import linux, seccomp
from .model import Limits

_NOBODY = 65534
_INNER_ID = 1000
_OPEN_FILES = 256
_OWN_PROCESSES = 2  # the fork server and its parent count as processes of the same user
_GENERATIONS = 100
_STACK = 8 * 2**20  # of a thread, where the system sets no limit


class Jail(ABC):
    """Makes the process of one program at a time, confined, and ends it."""

    def __init__(self, limits: Limits) -> None:
        stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
        stacks = limits.processes * (_STACK if stack == resource.RLIM_INFINITY else stack)
        self._resources = [
            # Refuses at once what can't be meant. Threads reserve whole stacks, which are no memory until used.
            _limit(resource.RLIMIT_DATA, limits.memory_bytes + stacks),
            _limit(resource.RLIMIT_CPU, limits.whole_cpu_seconds),
            _limit(resource.RLIMIT_NPROC, limits.processes + _OWN_PROCESSES),
            _limit(resource.RLIMIT_FSIZE, limits.file_bytes),
            _limit(resource.RLIMIT_NOFILE, _OPEN_FILES),
            _limit(resource.RLIMIT_CORE, 0),
        ]

    def prepare(self) -> None:  # noqa: B027
        """Make ready for a program, before anything is opened for it."""

    @abstractmethod
    def fork(self) -> int:
        """Fork; like ``os.fork``, 0 in the child, which must call ``enter`` before anything else."""

    @abstractmethod
    def enter(self) -> None:
        """Confine this process for good and go to its private folder.

        Raises:
            OSError: the kernel refuses.
        """

    @abstractmethod
    def kill(self, pid: int) -> None:
        """End the process ``pid`` that ``fork`` returned."""

    @abstractmethod
    def clear(self, pid: int) -> None:
        """Remove what process ``pid``, which has ended, left: further processes and files."""

    def _limit_resources(self) -> None:
        for kind, values in self._resources:
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
        self._untouched: object = None
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def prepare(self) -> None:
        """Have a network, of this process and the program, that nobody has used."""
        if self._untouched is None or linux.network_state() != self._untouched:
            linux.unshare(linux.NEW_NETWORK)
            linux.start_loopback()
            self._untouched = linux.network_state()

    def fork(self) -> int:
        """Fork a child that is the first process of a new namespace."""
        linux.unshare(linux.NEW_PIDS)
        pid = os.fork()
        if pid:
            linux.enter_namespace(self._own_pids, linux.NEW_PIDS)
        return pid

    def enter(self) -> None:
        """Leave everything behind but a read-only root and an empty /tmp, which is /dev/shm as well."""
        os.setsid()
        linux.unshare(linux.NEW_MOUNTS | linux.NEW_IPC)
        linux.mount(b"tmpfs", b"/tmp", b"tmpfs", linux.NO_SUID | linux.NO_DEVICES, self._folder_options)
        linux.mount(b"/tmp", b"/dev/shm", b"", linux.BIND)
        linux.mount_processes(linux.READ_ONLY)
        os.chdir("/tmp")
        self._limit_resources()
        linux.drop_capabilities()
        linux.forbid_new_privileges()
        seccomp.install()

    def kill(self, pid: int) -> None:
        """End the first process of the namespace, upon which the kernel ends the others."""
        os.kill(pid, signal.SIGKILL)

    def clear(self, pid: int) -> None:
        """Nothing is left: the namespaces ended with the process."""


class SharedJail(Jail):
    """A process group and a folder for every program, nothing more; what it started ends with it."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._folder: str | None = None
        if sys.platform == "linux":
            linux.adopt_orphans()
            linux.set_dumpable(False)  # closes this process's /proc entry, with its pipes, to the programs

    def fork(self) -> int:
        """Make a folder, and fork."""
        self._folder = tempfile.mkdtemp(prefix="codingspot-")
        return os.fork()

    def enter(self) -> None:
        """Become a process group in the folder; other systems than Linux limit time and output only."""
        assert self._folder is not None
        os.setsid()
        os.chdir(self._folder)
        os.environ.update(HOME=self._folder, TMPDIR=self._folder)
        if sys.platform == "linux":
            self._limit_resources()
            linux.drop_capabilities()
            linux.set_dumpable(True)
            linux.die_with_parent()
            linux.forbid_new_privileges()
            seccomp.install()

    def kill(self, pid: int) -> None:
        """End the program's first process."""
        os.kill(pid, signal.SIGKILL)

    def clear(self, pid: int) -> None:
        """End what is left of the process group and of those who left it, and remove the folder."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if sys.platform == "linux":
            _end_children()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _end_children() -> None:
    """End this process's children, and theirs, which are its own then."""
    for _ in range(_GENERATIONS):
        pids = linux.children()
        if not pids:
            return
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


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
