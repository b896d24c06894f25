"""Large tensors worked on part by part, so that what an operation makes of them on the way stays small."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from codingspot.models.ranks import own_part

_CPU, _OTHER = 1 << 20, 1 << 24
"""Elements of a part. Adding a bfloat16 tensor to a float32 one on a CPU makes a float32 copy of it: one of 4 MiB stays
in the cache and in the process, one of 64 MiB comes new from the system each time and takes eight times as long. On a
GPU every part is a launch."""


def parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Parts of the flattened tensors, which are of one size, side by side; views where the tensors are contiguous.

    Of tensors in shards those of what this process holds.
    """
    size = _CPU if tensors[0].device.type == "cpu" else _OTHER
    return zip(*(torch.split(own_part(each).reshape(-1), size) for each in tensors), strict=True)
