"""Progress where no terminal shows it: plain lines, one a stage and a cell, for a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

_EVERY = 60.0
"""Seconds after which a long stage says how far the work is."""


class ProgressLines:
    """Writes what :class:`codingspot.cli.console.StudyProgress` shows as lines: the time since the beginning, the
    stage, the cell's place among all, and about how long the rest takes.

    Args:
        write: takes a line.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._begun = self._said = clock()
        self._work = self._begun  # when work began that is counted
        self._total = self._done = 0.0
        self._text = self._place = ""
        self._first: tuple[float, int] | None = None  # when the first cell began, and its place
        self._left: float | None = None

    def start(self, total: float) -> None:
        """``total`` units of work are left."""
        self._work, self._total, self._done = self._clock(), total, 0.0

    def cell(self, number: int, total: int) -> None:
        """The next stage is a cell, the ``number``-th of ``total``."""
        now = self._clock()
        if self._first is None:
            self._first = now, number
        began, first = self._first
        self._place = f"cell {number}/{total} "
        self._left = (now - began) / (number - first) * (total - number + 1) if number > first else None

    def stage(self, text: str) -> None:
        """What is being done from now on."""
        if text == self._text:
            return
        self._text = f"{self._place}{text}"
        self._say(self._text, self._left)
        self._place, self._left = "", None

    def advance(self, units: float) -> None:
        """``units`` of work were done; of cells, whose places say more, nothing is said."""
        self._done += units
        now = self._clock()
        if self._first is None and now - self._said >= _EVERY and 0 < self._done < self._total:
            left = (now - self._work) * (self._total - self._done) / self._done
            self._say(f"{self._text}: {self._done / self._total:.0%} of all work done", left)

    def end(self) -> None:
        """All is done."""
        if self._text:
            self._say("done", None)

    def _say(self, text: str, left: float | None) -> None:
        self._said = self._clock()
        rest = "" if left is None else f", about {_duration(left)} left"
        self._write(f"{_duration(self._said - self._begun)} {text}{rest}")


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
