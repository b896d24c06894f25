"""A control group (version 2) for each worker: where it may be had, the kernel itself counts and limits memory."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_END_SECONDS = 2.0
_INTO = 'echo $$ >"$0" && exec "$@"'


class ControlGroup:
    """A new control group, which a worker's fork server and its programs belong to.

    Attributes:
        events: descriptor of the group's ``memory.events``.
    """

    def __init__(self, parent: Path) -> None:
        self._folder = Path(mkdtemp(prefix="codingspot-", dir=parent))
        self.events = os.open(self._folder / "memory.events", os.O_RDONLY)

    def command(self, command: list[str]) -> list[str]:
        """``command`` as one that enters the group first."""
        return ["/bin/sh", "-c", _INTO, str(self._folder / "cgroup.procs"), *command]

    def limit(self, memory_bytes: int) -> None:
        """Limit the memory to what is in use now and ``memory_bytes`` more, without swapping."""
        used = int((self._folder / "memory.current").read_text())
        (self._folder / "memory.max").write_text(str(used + memory_bytes))
        with suppress(OSError):  # a kernel without swap
            (self._folder / "memory.swap.max").write_text("0")

    def close(self) -> None:
        """Remove the group, once all that was in it has ended."""
        os.close(self.events)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.01)


def parent_group(root: Path = _ROOT, own: Path = _OWN) -> Path | None:
    """The nearest group in which this process may make others whose memory is counted; None if there is none.

    Args:
        root: where control groups are mounted.
        own: the groups of this process, as in ``/proc/self/cgroup``.
    """
    with suppress(OSError, StopIteration):
        path = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
        here = root / path.lstrip("/")
        for group in (here, *here.parents[: len(here.parts) - len(root.parts)]):
            counted = "memory" in (group / "cgroup.subtree_control").read_text().split()
            if counted and os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK):
                return group
    return None
