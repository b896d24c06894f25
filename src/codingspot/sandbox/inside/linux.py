"""The few Linux system calls that Python's ``os`` module lacks.

Every function raises OSError with the kernel's error number when the kernel refuses.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path

NEW_MOUNTS = 0x00020000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY = 0x1
NO_SUID = 0x2
NO_DEVICES = 0x4
NO_EXEC = 0x8
BIND = 0x1000
RECURSIVE = 0x4000
PRIVATE = 0x40000

_SET_PARENT_DEATH_SIGNAL = 1
_SET_DUMPABLE = 4
_SET_CHILD_SUBREAPER = 36
_SET_NO_NEW_PRIVILEGES = 38
_CAPABILITY_VERSION_3 = 0x20080522
_SET_INTERFACE_FLAGS = 0x8914
_LOOPBACK_UP = struct.pack("16sh14x", b"lo", 1)

# What the calls need is made once: after a fork, every object touched is a page copied.
_libc = ctypes.CDLL(None, use_errno=True)
_long, _text = ctypes.c_ulong, ctypes.c_char_p
for _call, _arguments in (
    ("unshare", [ctypes.c_int]),
    ("setns", [ctypes.c_int, ctypes.c_int]),
    ("mount", [_text, _text, _text, _long, _text]),
    ("prctl", [ctypes.c_int, _long, _long, _long, _long]),
    ("capset", [ctypes.c_void_p, ctypes.c_void_p]),
):
    if hasattr(_libc, _call):  # other systems lack them, and use nothing of this module
        getattr(_libc, _call).argtypes = _arguments
_own_capabilities = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_none = (ctypes.c_uint32 * 6)()


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process (for NEW_PIDS: the next one it forks) to new namespaces."""
    _check(_libc.unshare(flags), "unshare")


def enter_namespace(descriptor: int, kind: int) -> None:
    """Move this process (for NEW_PIDS: the next one it forks) to an existing namespace."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: bytes, target: bytes, kind: bytes, flags: int, options: bytes = b"") -> None:
    """Mount a file system."""
    _check(_libc.mount(source, target, kind, flags, options), "mount")


def mount_processes(flags: int = 0) -> None:
    """Mount a view of this process-id namespace at /proc."""
    mount(b"proc", b"/proc", b"proc", NO_SUID | NO_DEVICES | NO_EXEC | flags)


def start_loopback() -> None:
    """Let processes of this network namespace reach each other at 127.0.0.1 and ::1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, _LOOPBACK_UP)


def network_state() -> tuple[bytes, bytes]:
    """Number of open sockets and of packets sent in this network namespace; as it was new, nobody has left a trace.

    A closed connection that keeps its port has sent packets; a name, a port or an undelivered message has a socket.
    """
    sockets = Path("/proc/self/net/sockstat").read_bytes().partition(b"\n")[0]
    return sockets, Path("/proc/self/net/dev").read_bytes()


def prctl(option: int, first: int, second: int = 0) -> None:
    """Set an attribute of this process."""
    _check(_libc.prctl(option, first, second, 0, 0), "prctl")


def die_with_parent() -> None:
    """Have this process killed when its parent ends."""
    prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    prctl(_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Process ids of this process's children; none where the kernel doesn't tell."""
    with suppress(OSError):
        return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    return []


def set_dumpable(dumpable: bool) -> None:
    """Let, or don't let, processes of the same user look into this one by /proc."""
    prctl(_SET_DUMPABLE, int(dumpable))


def forbid_new_privileges() -> None:
    """No program that this process or its children start gains privileges by that."""
    prctl(_SET_NO_NEW_PRIVILEGES, 1)


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    _check(_libc.capset(_own_capabilities, _none), "capset")


def map_ids(inner: int, user: int, group: int) -> None:
    """Name the only user and group of a new user namespace: ``inner`` within is ``user``, ``group`` without."""
    with suppress(FileNotFoundError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inner} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{inner} {group} 1")


def become(user: int) -> None:
    """Change from root to the ordinary user and group of that number, for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # A change of user hides /proc/self from the process itself, which has yet to write its id maps there.
    set_dumpable(True)
