"""The Ray cluster on which a study's workers live: one on this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from pydantic import Field

from codingspot.errors import WorkerError
from codingspot.extras import optional_packages
from codingspot.files import reason
from codingspot.settings import Count, NotEmpty, Settings

_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what it would print of workers, such as that one died
    "RAY_worker_niceness": "0",  # workers do the run's work: otherwise whatever else runs goes first
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would copy the working directory to every worker
}
_OBJECT_BYTES: Final = 80 << 20
"""Shared memory for what goes between processes, which is next to nothing; the least that Ray takes."""

_PATIENCE: Final = 10.0
"""Seconds for a cluster to answer."""


class Workers(Settings):
    """Who evaluates a study's cells, beside the process that runs it."""

    count: Count | None = Field(None, description="how many; by default one a GPU, or one a machine without")
    address: NotEmpty | None = Field(None, description="of the head of a Ray cluster; none for this machine alone")
    threads: Count | None = Field(None, description="of each; by default its share of its machine's processors")


@dataclass(frozen=True)
class Share:
    """What each of ``count`` workers has."""

    count: int
    threads: int
    gpus: float


@contextmanager
def connected(workers: Workers | None) -> Iterator[None]:
    """Inside the block Ray runs here, or is connected to the cluster; nothing is done where there are no ``workers``.

    What Ray was connected to in this process before is used, and stays.

    Raises:
        MissingPackageError: Ray isn't installed.
        WorkerError: nothing answers at the address, or Ray can't be started here.
    """
    if workers is None:
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with optional_packages():
        import ray
    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    here: dict[str, Any] = {
        "num_cpus": max(processors(), (workers.count or 1) * (workers.threads or 1)),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_BYTES,
    }
    options = here if workers.address is None else {}
    try:
        _reach(workers.address or "local")
        with _same_handler():
            ray.init(workers.address or "local", configure_logging=False, log_to_driver=False, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        at = "on this machine" if workers.address is None else f"at {workers.address}"
        raise WorkerError(
            f"no Ray cluster can be used {at} ({reason(error)}); give the address that 'ray start --head' printed, or "
            "run without workers"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Find out soon whether anything is at HOST:PORT: Ray would go on trying for minutes.

    Raises:
        OSError, ValueError: nothing is, or it is no such address.
    """
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


@contextmanager
def _same_handler() -> Iterator[None]:
    """What is done with SIGTERM stays what it was."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(workers: Workers, machines: Sequence[Mapping[str, float]], *, on_cpu: bool, spread: bool) -> Share:
    """How many workers there are on ``machines``, given by their resources, and what each has.

    Workers that share a GPU have equal parts of it; one whose model is ``spread`` over GPUs has as many as there are
    for each. ``on_cpu``: they use none.
    """
    gpus = 0 if on_cpu else int(sum(machine.get("GPU", 0) for machine in machines))
    count = workers.count or gpus or len(machines)
    least = int(min(machine.get("CPU", 1) for machine in machines))
    threads = workers.threads or max(1, least // ceil(count / len(machines)))
    if gpus >= count:
        return Share(count, threads, gpus // count if spread else 1)
    return Share(count, threads, 1 / ceil(count / gpus) if gpus else 0)
