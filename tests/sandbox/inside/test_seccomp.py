"""The filter, run by a small interpreter of the BPF instructions it uses."""

from __future__ import annotations

import struct

import pytest

from codingspot.sandbox.inside.seccomp import filter_program

X86, ARM = 0xC000003E, 0xC00000B7
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


def decide(program: bytes, architecture: int, number: int, first_argument: int = 0) -> int:
    data = struct.pack("=iIQQ", number, architecture, 0, first_argument)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x15:
            position += if_true if accumulator == operand else if_false
        elif code == 0x35:
            position += if_true if accumulator >= operand else if_false
        else:
            assert code == 0x06
            return operand


@pytest.mark.parametrize(
    ("machine", "architecture", "read", "unshare", "clone", "sockets"),
    [("x86_64", X86, 0, 272, 56, (41, 53)), ("aarch64", ARM, 63, 97, 220, (198, 199))],
)
def test_decisions(
    machine: str, architecture: int, read: int, unshare: int, clone: int, sockets: tuple[int, int]
) -> None:
    program = filter_program(machine)
    assert decide(program, architecture, read) == ALLOW
    assert decide(program, architecture, unshare) == EPERM
    assert decide(program, architecture, clone, 0x01200011) == ALLOW  # fork
    assert decide(program, architecture, clone, 0x003D0F00) == ALLOW  # a thread
    for namespace in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(program, architecture, clone, namespace | 17) == EPERM
    for call in sockets:
        assert [decide(program, architecture, call, family) for family in (1, 2, 10, 16)] == [ALLOW] * 4
        assert [decide(program, architecture, call, family) for family in (0, 17, 38, 40)] == [EPERM] * 4
    assert decide(program, architecture, 435) == ENOSYS
    assert decide(program, architecture ^ 1, read) == KILL


def test_the_second_calling_convention_of_x86_is_closed() -> None:
    assert decide(filter_program("x86_64"), X86, 0x40000000 | 272) == ENOSYS


def test_other_processors_are_not_filtered() -> None:
    assert filter_program("riscv64") == b""
