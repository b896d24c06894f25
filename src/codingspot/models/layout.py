"""The order of a model's parameters, positions in it, and the fingerprint of the weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from codingspot.errors import ArtefactError
from codingspot.models.parts import parts

# Numbers moved to the CPU at a time; bounds the memory a fingerprint takes.

LARGE_MODEL = 200_000_000
"""Parameters from which defaults spare memory, disk and time: see the settings that name it."""

_AGAIN = "make the artefact again"


def unique_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's parameters, sorted by name; a tied one appears once, under its first name in the model."""
    return dict(sorted(model.named_parameters(remove_duplicate=True)))


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over every unique parameter's name, shape, dtype and bytes, whatever the device."""
    return fingerprint_as((name, each, each.dtype) for name, each in unique_parameters(model).items())


def fingerprint_as(parameters: Iterable[tuple[str, Tensor, torch.dtype]]) -> str:
    """The fingerprint of these parameters, sorted by name, were each of the type that stands beside it."""
    sha = hashlib.sha256()
    for name, parameter, dtype in parameters:
        sha.update(json.dumps([name, list(parameter.shape), str(dtype)]).encode())
        for (part,) in parts(parameter.detach()):
            sha.update(part.to("cpu", dtype).view(torch.uint8).numpy().data)
    return sha.hexdigest()


class Located(NamedTuple):
    """Positions that fall in one tensor.

    ``offsets`` index the flattened tensor; ``source`` says which of the located positions each one was.
    """

    offsets: Int64[Tensor, " found"]
    source: Int64[Tensor, " found"]


@dataclass(frozen=True)
class ParameterLayout:
    """A model's unique parameters flattened end to end, in the order of ``names``.

    A position is an index (int64) into that sequence of ``total`` numbers.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tensors: nn.Module | Mapping[str, Tensor]) -> ParameterLayout:
        """The layout of a model, or of tensors by name."""
        found: Mapping[str, Tensor]
        found = unique_parameters(tensors) if isinstance(tensors, nn.Module) else tensors
        names = tuple(sorted(found))
        return cls(names, tuple(tuple(found[name].shape) for name in names))

    @cached_property
    def offsets(self) -> Int64[Tensor, " tensors_plus_one"]:
        """Position of each tensor's first element; the last entry is ``total``."""
        return torch.tensor([0, *accumulate(prod(shape) for shape in self.shapes)], dtype=torch.int64)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @property
    def total(self) -> int:
        """How many numbers the parameters hold together."""
        return int(self.offsets[-1])

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many numbers each parameter holds."""
        return {name: prod(shape) for name, shape in zip(self.names, self.shapes, strict=True)}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one parameter."""
        return self.shapes[self._index[name]]

    def slice(self, name: str) -> slice:
        """The positions of one parameter, as a slice."""
        index = self._index[name]
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def tensor_index(self, positions: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """For each position, the index in ``names`` of the parameter it falls in.

        Raises:
            ArtefactError: a position is negative or not below ``total``.
        """
        if len(positions) and (int(positions.min()) < 0 or int(positions.max()) >= self.total):
            raise ArtefactError(f"a position lies outside the model's {self.total} parameters; make the spot again")
        return torch.searchsorted(self.offsets[1:].to(positions.device), positions, right=True)

    def locate(self, positions: Int64[Tensor, " n"]) -> dict[str, Located]:
        """Positions grouped by parameter, in the order of ``names``; inside a group the given order is kept.

        What is found is on the device of the positions.

        Raises:
            ArtefactError: a position is negative or not below ``total``.
        """
        tensors = self.tensor_index(positions)
        order = _stable_order(tensors, len(self.names))
        groups = torch.split(order, torch.bincount(tensors, minlength=len(self.names)).tolist())
        del tensors  # as large as the positions
        return {
            name: Located(positions[source] - self.offsets[index], source)
            for index, (name, source) in enumerate(zip(self.names, groups, strict=True))
            if len(source)
        }

    def to_json(self) -> list[list[Any]]:
        """Names and shapes as JSON values, for :meth:`from_json`."""
        return [[name, list(shape)] for name, shape in zip(self.names, self.shapes, strict=True)]

    @classmethod
    def from_json(cls, value: Any, origin: str = "a parameter layout") -> ParameterLayout:
        """The layout that :meth:`to_json` wrote; ``origin`` names what holds it.

        Raises:
            ArtefactError: ``value`` is something else.
        """
        if not isinstance(value, list) or not all(map(_is_entry, value)):
            raise ArtefactError(f"{origin} is corrupt (its layout is no list of names and shapes); {_AGAIN}")
        names = tuple(name for name, _ in value)
        if list(names) != sorted(set(names)):
            raise ArtefactError(f"{origin} is corrupt (its layout's names repeat or are out of order); {_AGAIN}")
        layout = cls(names, tuple(tuple(shape) for _, shape in value))
        if sum(layout.sizes.values()) >= 2**63:
            raise ArtefactError(f"{origin} is corrupt (its layout has more parameters than can be counted); {_AGAIN}")
        return layout


def _stable_order(values: Int64[Tensor, " n"], bound: int) -> Int64[Tensor, " n"]:
    """Indices that put values from 0 to below ``bound`` in ascending order, equal ones in the order given."""
    if values.device.type != "cpu":
        return values.argsort(stable=True)
    # numpy sorts 16-bit integers by radix, several times as fast as torch sorts these.
    narrow = values.numpy().astype(np.uint16 if bound <= 1 << 16 else np.int64)
    return torch.from_numpy(np.argsort(narrow, kind="stable"))


def _is_entry(value: Any) -> bool:
    """Whether ``value`` is a name and a shape."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    name, shape = value
    return isinstance(name, str) and isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
