"""A filter on system calls, in classic BPF.

It takes from programs what namespaces and resource limits leave open:

1. making further namespaces, which would give them the powers of root over those;
2. memory that no limit counts: System V and POSIX message queues, shared memory and anonymous files;
3. parts of the kernel that programs never need and exploits often do, such as rare families of sockets;
4. looking into other processes.

A refused call fails with EPERM; ``clone3``, whose flags a filter can't see, with ENOSYS, upon which the C library
falls back to ``clone``. On processors that aren't in the table nothing is filtered.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from .linux import prctl

_REFUSED: dict[str, tuple[int, ...]] = {
    # unshare, shmget, msgget, semget, mq_open, memfd_create, memfd_secret, bpf, perf_event_open, userfaultfd,
    # io_uring_setup, add_key, request_key, keyctl, ptrace, process_vm_readv, process_vm_writev
    "x86_64": (272, 29, 68, 64, 240, 319, 447, 321, 298, 323, 425, 248, 249, 250, 101, 310, 311),
    "aarch64": (97, 194, 186, 190, 180, 279, 447, 280, 241, 282, 425, 217, 218, 219, 117, 270, 271),
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_SOCKETS = {"x86_64": (41, 53), "aarch64": (198, 199)}  # socket, socketpair
_FAMILIES = (1, 2, 10, 16)  # local, internet 4 and 6, netlink
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NAMESPACES = 0x7E020000

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _FIRST_ARGUMENT_OFFSET = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_SET_SECCOMP, _FILTER_MODE = 22, 2


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def filter_program(machine: str) -> bytes:
    """BPF program for a processor (``os.uname().machine``); empty when the processor isn't in the table."""
    if machine not in _REFUSED:
        return b""
    refuse = _instruction(_RETURN, _ERROR | errno.EPERM)
    unknown = _instruction(_RETURN, _ERROR | errno.ENOSYS)
    program = [
        _instruction(_LOAD, _ARCHITECTURE_OFFSET),
        _instruction(_EQUAL, _ARCHITECTURE[machine], if_true=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_OFFSET),
        _instruction(_AT_LEAST, _X32, if_false=1),
        unknown,
        _instruction(_EQUAL, _CLONE3, if_false=1),
        unknown,
    ]
    for number in _REFUSED[machine]:
        program += [_instruction(_EQUAL, number, if_false=1), refuse]
    for number in _SOCKETS[machine]:
        program += [
            _instruction(_EQUAL, number, if_false=3 + len(_FAMILIES)),
            _instruction(_LOAD, _FIRST_ARGUMENT_OFFSET),
            *(
                _instruction(_EQUAL, family, if_true=left)
                for left, family in zip(range(len(_FAMILIES), 0, -1), _FAMILIES, strict=True)
            ),
            refuse,
            _instruction(_RETURN, _ALLOW),
        ]
    program += [
        _instruction(_EQUAL, _CLONE[machine], if_false=4),
        _instruction(_LOAD, _FIRST_ARGUMENT_OFFSET),
        _instruction(_AND, _NAMESPACES),
        _instruction(_EQUAL, 0, if_true=1),
        refuse,
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(program)


# Made once, and kept for as long as the kernel may be given its address.
_INSTRUCTIONS = ctypes.create_string_buffer(filter_program(os.uname().machine))
_LENGTH = (len(_INSTRUCTIONS) - 1) // len(_instruction(0, 0))
_HEADER = ctypes.create_string_buffer(struct.pack("@HP", _LENGTH, ctypes.addressof(_INSTRUCTIONS)))
_HEADER_ADDRESS = ctypes.addressof(_HEADER)


def install() -> None:
    """Filter this process and all it starts, for good. New privileges must be forbidden already."""
    if _LENGTH:
        prctl(_SET_SECCOMP, _FILTER_MODE, _HEADER_ADDRESS)
