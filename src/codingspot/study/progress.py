"""How a long run tells what it is doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """Receives the run's progress, in units of one evaluated cell."""

    def start(self, total: float) -> None:
        """The run begins; ``total`` units of work are left."""

    def stage(self, text: str) -> None:
        """What is being done now."""

    def advance(self, units: float) -> None:
        """``units`` of work were done."""


@runtime_checkable
class CountsCells(Protocol):
    """A progress that wants to know which of how many cells comes next."""

    def cell(self, number: int, total: int) -> None:
        """The next stage is a cell, the ``number``-th of ``total``."""


class Silent:
    """Listens to nothing; the default of the library."""

    def start(self, total: float) -> None:
        """Ignored."""

    def stage(self, text: str) -> None:
        """Ignored."""

    def advance(self, units: float) -> None:
        """Ignored."""
