"""A run's spots and controls, of which no more are in memory than fit a set number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

from codingspot.spot import Spot
from codingspot.study.directory import RunDirectory

HELD_BYTES: Final = 1 << 30
"""Bytes of the spots that are held at once, unless two have more: 3% of 8 billion parameters are 2.9 GB a control."""


class SavedSpots(Mapping[str, Spot]):
    """Spots by name, each saved in the run's directory when it is given, and read from there when it isn't held."""

    def __init__(self, directory: RunDirectory, held_bytes: int = HELD_BYTES) -> None:
        self._directory, self._held_bytes = directory, held_bytes
        self._names: dict[str, None] = {}
        self._held: OrderedDict[str, Spot] = OrderedDict()  # the one used last at the end

    def add(self, name: str, spot: Spot) -> None:
        """Take a spot that was just found, and save it."""
        spot.save(self._directory.spot(name))
        self._names[name] = None
        self._hold(name, spot)

    def resume(self, name: str) -> bool:
        """Whether an earlier run saved the spot, which then is one of these."""
        there = self._directory.spot(name).exists()
        if there:
            self._names[name] = None
        return there

    def __getitem__(self, name: str) -> Spot:
        if name not in self._names:
            raise KeyError(name)
        return self._hold(name, self._held.get(name) or Spot.load(self._directory.spot(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _hold(self, name: str, spot: Spot) -> Spot:
        self._held[name] = spot
        self._held.move_to_end(name)
        while len(self._held) > 2 and sum(map(_bytes, self._held.values())) > self._held_bytes:
            self._held.popitem(last=False)
        return spot


def _bytes(spot: Spot) -> int:
    return spot.positions.nbytes + spot.scores.nbytes
