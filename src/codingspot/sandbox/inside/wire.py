"""Messages over a pipe: JSON after a four-byte length."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

_LENGTH = struct.Struct(">I")


def send(descriptor: int, message: Any) -> None:
    """Write one message whole.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    payload = json.dumps(message).encode("ascii")
    rest = memoryview(_LENGTH.pack(len(payload)) + payload)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int, deadline: float | None = None) -> Any:
    """Read one message whole, until ``deadline`` (of ``time.monotonic``; None waits for ever).

    Raises:
        EOFError: the other side is gone.
        TimeoutError: the deadline passed.
    """
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, deadline))
    return json.loads(_read(descriptor, length, deadline))


def _read(descriptor: int, size: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        if deadline is not None:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
        part = os.read(descriptor, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
