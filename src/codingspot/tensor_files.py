"""Safetensors files as bytes: where their tensors are, changing a few numbers, and writing one tensor by tensor.

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
_ABOUT = "__metadata__"


def bits(tensor: Tensor) -> Int[Tensor, " n"]:
    """The numbers of a tensor as whole numbers of as many bytes, flattened."""
    return tensor.detach().contiguous().flatten().view(_WHOLE[tensor.element_size()])


@dataclass(frozen=True)
class Form:
    """A tensor of a safetensors file: its type as the format names it, its shape, and how many bytes it takes."""

    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Place(Form):
    """The same, and where in the file its bytes begin."""

    start: int


def places(path: Path) -> dict[str, Place]:
    """The tensors of a safetensors file, which was opened before and found whole, in the order of its header.

    The library maps whole files into memory; by their places a part of a tensor can be read into a bounded buffer.
    """
    header, data = _header(path)
    header.pop(_ABOUT, None)
    return {name: _place(each, data) for name, each in header.items()}


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file, which was opened before and found whole, says beside its tensors."""
    return dict(_header(path)[0].get(_ABOUT) or {})


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a file, and where the tensors' bytes begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length


def _place(entry: Mapping[str, Any], data: int) -> Place:
    start, stop = entry["data_offsets"]
    return Place(entry["dtype"], tuple(entry["shape"]), stop - start, data + start)


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


def write_tensors(
    path: Path, forms: Mapping[str, Form], tensors: Iterable[Tensor], about: Mapping[str, str] | None = None
) -> None:
    """Write tensors of these names and forms, one in memory at a time; ``about`` are the file's metadata.

    The bytes are those that the library's own writer makes of tensors in that order.
    """
    with path.open("wb") as file:
        file.write(_head(forms, about))
        file.writelines(map(raw, tensors))  # which lets go of each before it asks for the next


def set_aside(path: Path, forms: Mapping[str, Form]) -> None:
    """Make a file in which tensors of these names and forms have their places, to be written there by several."""
    head = _head(forms, None)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + sum(form.size for form in forms.values()))


def _head(forms: Mapping[str, Form], about: Mapping[str, str] | None) -> bytes:
    header: dict[str, Any] = {} if about is None else {_ABOUT: dict(about)}
    end = 0
    for name, form in forms.items():
        start, end = end, end + form.size
        header[name] = {"dtype": form.dtype, "shape": list(form.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def raw(tensor: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU."""
    return tensor.contiguous().view(-1, 1).view(torch.uint8).numpy().data  # a column: an empty row has no stride
