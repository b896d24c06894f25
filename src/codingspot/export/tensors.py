"""Files of tensors as bytes: changing a few numbers of a safetensors file, and writing one tensor by tensor.

A safetensors file is the length of a JSON header (8 bytes, little endian), the header (name to type, shape and place),
and the tensors' bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(tensor: Tensor) -> Int[Tensor, " n"]:
    """The numbers of a tensor as whole numbers of as many bytes, flattened."""
    return tensor.detach().contiguous().flatten().view(_WHOLE[tensor.element_size()])


@dataclass(frozen=True)
class Place:
    """A tensor in a safetensors file: its type as the format names it, its shape, and where its bytes begin."""

    dtype: str
    shape: tuple[int, ...]
    start: int


def places(path: Path) -> dict[str, Place]:
    """The tensors of a safetensors file, which was opened before and found whole."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: Place(each["dtype"], tuple(each["shape"]), 8 + length + each["data_offsets"][0])
        for name, each in header.items()
        if name != "__metadata__"
    }


def is_of(path: Path, kind: str) -> bool:
    """Whether it is a safetensors file that says it is of that kind."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == kind
    except (OSError, SafetensorError):
        return False


def change(path: Path, place: Place, offsets: Int[Tensor, " n"], values: Shaped[Tensor, " n"]) -> None:
    """Write ``values`` over the numbers at ``offsets`` of a flattened tensor, in the file."""
    if len(offsets):
        new = bits(values).numpy()
        count = int(np.prod(place.shape, dtype=np.int64))
        memory = np.memmap(path, dtype=new.dtype, mode="r+", offset=place.start, shape=(count,))
        memory[offsets.numpy()] = new
        memory.flush()


def write_masks(
    path: Path, shapes: Mapping[str, tuple[int, ...]], masks: Iterable[Tensor], about: Mapping[str, str]
) -> None:
    """Write boolean tensors of these names and shapes, one in memory at a time, as a safetensors file."""
    header: dict[str, Any] = {"__metadata__": dict(about)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "BOOL", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for mask in masks:
            file.write(mask.contiguous().numpy().tobytes())
