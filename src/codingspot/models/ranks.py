"""Processes that hold a model, or read its scores, in parts: its *ranks*, and what they tell one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")

_PATIENCE = timedelta(days=1)
"""How long one waits for another, which may have a large model to read, or a domain more to score. Where one has ended,
torchrun ends the others at once."""


def in_shards(tensor: Tensor) -> bool:
    """Whether this process holds a part of a tensor alone."""
    return hasattr(tensor, "to_local")


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: of one in shards consecutive rows, of any other all of it."""
    local: Callable[[], Tensor] | None = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


@dataclass(frozen=True)
class Ranks:
    """The processes that hold something together: how many, and which of them this is.

    They speak over ``group``; one alone has none.
    """

    own: int = 0
    count: int = 1
    group: ProcessGroup | None = None

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Ranks:
        """Those that hold tensors in shards, over one device mesh; this one alone where none is."""
        mesh = next((each.device_mesh for each in tensors if in_shards(each)), None)  # type: ignore[attr-defined]
        return cls() if mesh is None else cls.over(mesh.get_group())

    @classmethod
    def over(cls, group: ProcessGroup | None = None) -> Ranks:
        """Those of a process group, by default all that torchrun started."""
        import torch.distributed as dist

        return cls(dist.get_rank(group), dist.get_world_size(group), group or dist.group.WORLD)

    def divided(self, groups: int) -> Ranks:
        """Those of this one's group, where all are divided into ``groups`` of one size, in order. All must call it."""
        if groups == 1:
            return self
        if groups == self.count:
            return ALONE
        import torch.distributed as dist

        own, _ = dist.new_subgroups(self.count // groups, self.group, _PATIENCE)  # type: ignore[no-untyped-call]
        return Ranks.over(own)

    def first_row(self, rows: int) -> int:
        """Where this one's part of a tensor with so many rows begins."""
        return min(rows, self.own * -(-rows // self.count))

    def share(self, batch: Int64[Tensor, "rows length"]) -> Int64[Tensor, "own length"]:
        """The rows of a batch that this one reads; none where there are too few."""
        return batch[self.own :: self.count]

    def added(self, own: Tensor) -> Tensor:
        """The sum over the ranks of a tensor that each has, of one shape and type."""
        if self.count == 1:
            return own
        import torch.distributed as dist

        summed = own.clone()
        dist.all_reduce(summed, group=self.group)
        return summed

    def sums(self, *values: float) -> tuple[float, ...]:
        """Sums over the ranks of what each gives, in float64."""
        if self.count == 1:
            return values
        return tuple(self.added(torch.tensor(values, dtype=torch.float64)).tolist())

    def each(self, value: T) -> list[T]:
        """What each of them gives, in their order."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        given = [value] * self.count
        dist.all_gather_object(given, value, self.group)
        return given

    def in_order(self, values: Iterable[Tensor]) -> Tensor:
        """The sum of the first's values, then of the next one's, and so on: rounded as if one had them all."""
        if self.count == 1:
            return sum(values, torch.tensor(0))
        own, total = list(values), torch.tensor(0)
        for rank in range(self.count):
            total = self.first(sum(own, total) if rank == self.own else total, rank)
        return total

    def first(self, value: T, rank: int = 0) -> T:
        """What the first of them gives, or another ``rank``."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        given = [value]
        dist.broadcast_object_list(given, group=self.group, group_src=rank)
        return given[0]

    def to_first(self, part: Shaped[Tensor, " own"]) -> Shaped[Tensor, " n"]:
        """The parts of all, end to end, for the first of them; nothing for the others."""
        if self.count == 1:
            return part
        import torch.distributed as dist

        sizes = self.each(len(part))
        if self.own > 0:
            if len(part):
                dist.send(part, group=self.group, group_dst=0)
            return part[:0]
        whole = torch.cat([part, part.new_empty(sum(sizes[1:]))])
        for rank, place in enumerate(torch.split(whole, sizes)):
            if rank and len(place):
                dist.recv(place, group=self.group, group_src=rank)
        return whole

    def from_first(self, whole: Shaped[Tensor, " _"], n: int) -> Shaped[Tensor, " n"]:
        """The ``n`` numbers that the first of them has, for all."""
        if self.count == 1:
            return whole
        import torch.distributed as dist

        given = whole if self.own == 0 else whole.new_empty(n)
        dist.broadcast(given, group=self.group, group_src=0)
        return given

    def wait(self) -> None:
        """Until all have come here."""
        self.sums(0.0)


ALONE = Ranks()
"""One process."""


def launched() -> bool:
    """Whether torchrun started this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Inside the block the processes that torchrun started work together; there is nothing to do for one alone."""
    if not launched():
        yield ALONE
        return
    import torch.distributed as dist

    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks.over()
    finally:
        dist.destroy_process_group()
