"""Small labels beside points, placed where they cover no line, no point and no other label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SIZE: Final = 7.5  # points
_WIDTH: Final = 0.62 * _SIZE  # of a digit
_SAME_PLACE: Final = 4.0  # points
_DIRECTIONS: Final = (0, 180, 315, 225, 45, 135, 270, 90)
_DISTANCES: Final = (5.0, 10.0, 17.0)
_SHARE_OF_FIGURE: Final = 0.74  # how much of a figure's width and height its axes take, about


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


class PointLabels:
    """Collects labels and what they must not cover, then places those that have room. Coordinates are data's."""

    def __init__(self) -> None:
        self._labels: list[tuple[float, float, str, str, list[Artist]]] = []
        self._paths: list[tuple[Sequence[float], Sequence[float]]] = []

    def add(self, x: float, y: float, text: str, colour: str, artists: list[Artist]) -> None:
        """Ask for a label beside a point; what is drawn is added to ``artists``."""
        self._labels.append((x, y, text, colour, artists))

    def avoid(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Keep labels off the line through these points."""
        self._paths.append((xs, ys))

    def place(self, axes: Axes) -> None:
        """Draw every label that has room; of points of one colour in one place, the first. Limits come before.

        None stands nearer to a point of another colour than to its own.
        """
        scale = _Scale(axes)
        points = [(scale(x, y), colour) for x, y, _, colour, _ in self._labels]
        taken = [box for xs, ys in self._paths for box in _along(scale, xs, ys)]
        labelled: list[tuple[str, tuple[float, float]]] = []
        for x, y, text, colour, artists in self._labels:
            point = scale(x, y)
            if any(colour == other and math.dist(point, place) < _SAME_PLACE for other, place in labelled):
                continue
            labelled.append((colour, point))
            others = [other for other, its in points if its != colour]
            for dx, dy, box in _candidates(point, len(text) * _WIDTH):
                own = math.hypot(dx, dy)
                nearest = all(math.dist((point[0] + dx, point[1] + dy), other) > own for other in others)
                if nearest and scale.contains(box) and not any(box.overlaps(other) for other in taken):
                    taken.append(box)
                    label = axes.annotate(
                        text,
                        (x, y),
                        (dx, dy),
                        textcoords="offset points",
                        ha="center",
                        va="center",
                        fontsize=_SIZE,
                        color=colour,
                    )
                    artists.append(label)
                    break


class _Scale:
    """From data to points (1/72 inch) from the lower left corner of the axes, about."""

    def __init__(self, axes: Axes) -> None:
        figure = axes.get_figure(root=True)
        inches = figure.get_size_inches() if isinstance(figure, Figure) else (4.0, 3.0)
        self._left, right = axes.get_xlim()
        self._bottom, top = axes.get_ylim()
        self._width, self._height = (72 * _SHARE_OF_FIGURE * float(side) for side in inches)
        self._x, self._y = self._width / (right - self._left), self._height / (top - self._bottom)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return (x - self._left) * self._x, (y - self._bottom) * self._y

    def clipped(self, x: float, y: float) -> tuple[float, float]:
        """The same, moved to the edge where it lies outside: an interval may reach far beyond the axes."""
        found_x, found_y = self(x, y)
        return min(max(found_x, 0.0), self._width), min(max(found_y, 0.0), self._height)

    def contains(self, box: _Box) -> bool:
        return box.left > 2 and box.bottom > 2 and box.right < self._width and box.top < self._height


def _along(scale: _Scale, xs: Sequence[float], ys: Sequence[float]) -> Iterator[_Box]:
    """Small boxes that cover a polyline."""
    corners = [scale.clipped(x, y) for x, y in zip(xs, ys, strict=True)]
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / 3))
        for step in range(steps + 1):
            x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
            yield _Box(x - 1.5, y - 1.5, x + 1.5, y + 1.5)


def _candidates(point: tuple[float, float], width: float) -> Iterator[tuple[float, float, _Box]]:
    """Offsets of a label's centre from its point, nearest first, with the box that it would cover."""
    for distance in _DISTANCES:
        for degrees in _DIRECTIONS:
            angle = math.radians(degrees)
            dx = math.cos(angle) * (distance + width / 2)
            dy = math.sin(angle) * (distance + _SIZE / 2)
            x, y = point[0] + dx, point[1] + dy
            yield dx, dy, _Box(x - width / 2, y - _SIZE / 2, x + width / 2, y + _SIZE / 2)
