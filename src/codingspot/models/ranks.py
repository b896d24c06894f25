"""Processes that hold a model in shards, its *ranks*: which of them this is, and what they tell one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Int64
from torch import Tensor

T = TypeVar("T")


def in_shards(tensor: Tensor) -> bool:
    """Whether this process holds a part of a tensor alone."""
    return hasattr(tensor, "to_local")


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: of one in shards consecutive rows, of any other all of it."""
    local: Callable[[], Tensor] | None = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


@dataclass(frozen=True)
class Ranks:
    """The processes that hold something together: how many, and which of them this is."""

    own: int = 0
    count: int = 1

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Ranks:
        """Those that hold tensors in shards; this one alone where none is."""
        return cls.all() if any(map(in_shards, tensors)) else cls()

    @classmethod
    def all(cls) -> Ranks:
        """Those that work together in this run."""
        import torch.distributed as dist

        return cls(dist.get_rank(), dist.get_world_size())

    def first_row(self, rows: int) -> int:
        """Where this one's part of a tensor with so many rows begins."""
        return min(rows, self.own * -(-rows // self.count))

    def share(self, batch: Int64[Tensor, "rows length"]) -> Int64[Tensor, "own length"]:
        """The rows of a batch that this one reads; none where there are too few."""
        return batch[self.own :: self.count]

    def sums(self, *values: float) -> tuple[float, ...]:
        """Sums over the ranks of what each gives, in float64."""
        if self.count == 1:
            return values
        import torch.distributed as dist

        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed)
        return tuple(summed.tolist())

    def first(self, value: T) -> T:
        """What the first of them gives."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        given = [value]
        dist.broadcast_object_list(given)
        return given[0]

    def wait(self) -> None:
        """Until all have come here."""
        self.sums(0.0)


def launched() -> bool:
    """Whether torchrun started this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def process_group() -> Iterator[None]:
    """Inside the block the processes that torchrun started work together; there is nothing to do for one alone."""
    if not launched():
        yield
        return
    import torch.distributed as dist

    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
