"""What a reader may point at in a picture of the page, and switch on and off: its points with their numbers.

They are found when the panel is laid out, and stand in its SVG as data: the picture is the same without them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from codingspot.escaping import visible


@dataclass(frozen=True)
class Point:
    """One point of a series.

    Attributes:
        x, y: where it is, in the axes' data.
        values: what it stands for, in words, a text a column of its series.
        cell: name of the cell whose figures these are; empty where it is none, or several.
    """

    x: float
    y: float
    values: tuple[str, ...]
    cell: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one kind and what draws them.

    Attributes:
        columns: headings of its points' values, the first of what is pointed at.
        points: in reading order.
        names: sort to name, such as Domain to English: it is shown while every one of its names is.
        artists: what is hidden with it, the labels of its points too.
    """

    columns: tuple[str, ...]
    points: tuple[Point, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    artists: list[Artist] = field(default_factory=list)


@dataclass(frozen=True)
class Marks:
    """Everything in one panel that can be pointed at.

    Attributes:
        series: in the order in which they are read.
        doses: k at the ticks of a logarithmic x axis, which a reader may make linear; empty elsewhere.
    """

    series: tuple[Series, ...]
    doses: tuple[float, ...] = ()

    def name_artists(self) -> None:
        """Give what is drawn the ids by which :meth:`to_json` knows it, before the figure is saved."""
        for place, series in enumerate(self.series):
            for number, artist in enumerate(series.artists):
                artist.set_gid(f"series-{place}-{number}")

    def to_json(self, axes: Axes, size: tuple[float, float]) -> str:
        """The data of a panel whose layout is settled, as JSON in which no character is a command.

        Args:
            axes: those drawn on.
            size: width and height of the SVG in its units, which are those of the axes' display.
        """

        def place(x: float, y: float) -> tuple[float, float]:
            right, up = axes.transData.transform((x, y))
            return round(float(right), 1), round(size[1] - float(up), 1)

        def points(series: Series) -> Sequence[object]:
            there = [(place(point.x, point.y), point) for point in series.points]
            return [
                [*at, [*map(visible, point.values)], *([visible(point.cell)] if point.cell else [])]
                for at, point in there
                if all(map(math.isfinite, at))
            ]

        left, right = (place(x, 0)[0] for x in axes.get_xlim())
        data = {
            "series": [
                {
                    "names": {sort: visible(name) for sort, name in series.names.items()},
                    "columns": series.columns,
                    "points": points(series),
                }
                for series in self.series
            ],
            "doses": [(place(k, 1)[0], k) for k in self.doses],
            "span": [left, right],
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
