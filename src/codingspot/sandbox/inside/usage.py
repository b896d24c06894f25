"""What a running program uses, for those who can't have the kernel count it: processes, and their memory.

Memory is counted as a control group would: pages of their own and shared ones (each once), page tables, files in the
program's temporary folder, and what waits in the buffers of its sockets.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = ("RssAnon", "VmSwap", "VmPTE")
_SHARED = ("RssShmem",)
_PROPORTIONAL = ("Pss_Anon", "Pss_Shmem", "SwapPss")

_SOCKET_DIAGNOSIS, _BY_FAMILY, _DUMP = 4, 20, 0x301
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_DONE, _ERROR = 3, 2
_ANY = 0xFFFFFFFF


def other_processes() -> list[int]:
    """Process ids in this namespace other than this process and the namespace's first."""
    own = {1, os.getpid()}
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and int(entry.name) not in own]


def memory_in_use(pids: list[int], enough: int) -> int:
    """Bytes of memory that these processes, and the sockets of this process's network namespace, hold.

    If that is more than ``enough``, it is counted again, exactly: pages that processes share counted once.
    """
    kept = _files(pids) + _sockets()
    total = kept + sum(_sizes(f"/proc/{pid}/status", (*_PRIVATE, *_SHARED)) for pid in pids)
    return total if total <= enough else kept + sum(map(_proportional, pids))


def _proportional(pid: int) -> int:
    tables = _sizes(f"/proc/{pid}/status", ("VmPTE",))
    pages = _sizes(f"/proc/{pid}/smaps_rollup", _PROPORTIONAL)
    return tables + (pages or _sizes(f"/proc/{pid}/smaps_rollup", ("Pss", "SwapPss")))  # before Linux 5.3


def _sizes(path: str, names: tuple[str, ...]) -> int:
    """Sum of the lines ``name: number kB`` of these names; 0 when the process has ended."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return 0
    found = (line.partition(":") for line in lines)
    return sum(int(size.split()[0]) * 1024 for name, _, size in found if name in names)


def _files(pids: list[int]) -> int:
    """Bytes of files in the processes' /tmp, which is the same for all."""
    for pid in pids:
        with suppress(OSError):
            folder = os.statvfs(f"/proc/{pid}/root/tmp")
            return (folder.f_blocks - folder.f_bfree) * folder.f_frsize
    return 0


@dataclass(frozen=True)
class _Kind:
    """How the kernel is asked for the memory of one kind of sockets (sock_diag(7)).

    Attributes:
        request: after the message's header.
        body: bytes of an answer before its attributes.
        attribute: number of the one that holds the memory.
    """

    request: bytes
    body: int
    attribute: int


def _internet(family: int, protocol: int) -> _Kind:
    return _Kind(struct.pack("=BBBxI48x", family, protocol, 1 << 6, _ANY), 72, 7)


_KINDS = (
    _Kind(struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, _ANY, 0, 0x20, _ANY, _ANY), 16, 5),
    *(
        _internet(family, protocol)
        for family in (socket.AF_INET, socket.AF_INET6)
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
    ),
    _Kind(struct.pack("=BBHIIII", 16, 255, 0, 0, 1, _ANY, _ANY), 28, 0),  # netlink's own, of all protocols
)


def _sockets() -> int:
    """Bytes in the buffers of all sockets of this process's network namespace; 0 if the kernel doesn't tell."""
    total = 0
    with suppress(OSError), socket.socket(16, socket.SOCK_RAW, _SOCKET_DIAGNOSIS) as netlink:
        for kind in _KINDS:
            netlink.send(_HEADER.pack(_HEADER.size + len(kind.request), _BY_FAMILY, _DUMP, 0, 0) + kind.request)
            for answer in _answers(netlink):
                total += _buffers(answer, kind)
    return total


def _answers(netlink: socket.socket) -> Iterator[bytes]:
    """The messages of one dump, without their headers."""
    while True:
        data = netlink.recv(1 << 16)
        while data:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind in (_DONE, _ERROR):
                return
            yield data[_HEADER.size : length]
            data = data[_aligned(length) :]


def _buffers(answer: bytes, kind: _Kind) -> int:
    """Bytes waiting in one socket: received, and sent but not yet received or acknowledged."""
    rest = answer[kind.body :]
    while len(rest) >= _ATTRIBUTE.size:
        length, number = _ATTRIBUTE.unpack_from(rest)
        if number == kind.attribute:
            received, _, sent, _, _, queued = struct.unpack_from("=6I", rest, _ATTRIBUTE.size)
            return int(received + max(sent, queued))
        rest = rest[_aligned(max(length, _ATTRIBUTE.size)) :]
    return 0


def _aligned(length: int) -> int:
    return (length + 3) & ~3
