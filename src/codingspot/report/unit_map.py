"""Where a spot's whole units lie: each of a layer's heads, or how many of its neurons, against chance."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd
from matplotlib.axes import Axes

from codingspot.report.labels import MISSING, fixed
from codingspot.report.marks import Marks, Point, Series
from codingspot.report.squares import bare, shaded_cell
from codingspot.report.theme import GENERAL, INK, MUTED

_Drawn = tuple[tuple[str, ...], tuple[Point, ...]]
"""Headings of the points' values, and the points."""

_MOST_COLUMNS: Final = 40
_BEST: Final = 12
_READ: Final = ("index", "layer", "rank", "code", "general")
_ONE: Final = ("Unit", "Rank", "Code", "General", "In the spot")
_LAYER: Final = ("Layer", "In the spot", "Of", "By chance", "Times chance", "Best first")


def size_of(units: pd.DataFrame) -> tuple[float, float]:
    """Width and height in inches of the panel that shows ``units``."""
    return max(4.1, 0.8 + 0.3 * _columns(units)), 1.0 + 0.22 * units["layer"].nunique()


def draw_units(axes: Axes, *, units: pd.DataFrame, spot: str, chosen: int, kind: str) -> Marks:
    """Each unit by layer and number where a layer has few, such as heads; otherwise how many of each layer's.

    Args:
        axes: empty.
        units: all that the spot was chosen among, best first: ``rank``, ``layer``, ``expert``, ``index``, ``code``,
            ``general``.
        spot: its name.
        chosen: how many of them are the spot.
        kind: what they are.
    """
    layers = sorted(units["layer"].unique().tolist())
    columns, points = (_grid if _columns(units) else _bars)(axes, units, chosen, kind, layers)
    axes.set_yticks([place + 0.5 for place in range(len(layers))], [str(layer) for layer in layers])
    axes.set_ylim(len(layers), 0)
    axes.set_ylabel("layer")
    return Marks((Series(columns, points, {"Spot": spot}),))


def _columns(units: pd.DataFrame) -> int:
    """How many columns show each unit of a layer; 0 where there are too many."""
    columns = int(units["index"].max()) + 1
    return columns if columns <= _MOST_COLUMNS and not units["expert"].any() else 0


def _grid(axes: Axes, units: pd.DataFrame, chosen: int, kind: str, layers: list[int]) -> _Drawn:
    points = []
    for x, layer, rank, *scores in zip(*(units[name] for name in _READ), strict=True):
        y, inside = layers.index(layer), rank <= chosen
        shaded_cell(axes, x, y, 1.0 if inside else 0.08, str(rank) if inside else "")
        figures = (MISSING if math.isnan(score) else f"{score:.3g}" for score in scores)
        name = f"layer {layer}, {kind} {x}"
        points.append(Point(x + 0.5, y + 0.5, (name, str(rank), *figures, "yes" if inside else "no")))
    columns = _columns(units)
    axes.set_xticks([place + 0.5 for place in range(columns)], [str(place) for place in range(columns)])
    axes.set_xlim(0, columns)
    axes.set_xlabel(kind)
    axes.xaxis.set_label_position("top")
    bare(axes)
    return _ONE, tuple(sorted(points, key=lambda point: (point.y, point.x)))


def _bars(axes: Axes, units: pd.DataFrame, chosen: int, kind: str, layers: list[int]) -> _Drawn:
    best = units[units["rank"] <= chosen]
    points = []
    for place, layer in enumerate(layers):
        here, there = best[best["layer"] == layer], int((units["layer"] == layer).sum())
        expected = len(best) * there / len(units)
        axes.barh(place + 0.5, len(here), height=0.7, color=GENERAL, alpha=0.6)
        axes.plot([expected, expected], [place + 0.1, place + 0.9], color=INK, linewidth=1.2)
        names = [
            f"{index}" if not expert else f"{index} of expert {expert}"
            for index, expert in zip(here["index"][:_BEST], here["expert"], strict=False)
        ]
        told = ", ".join(names) + (" …" if len(here) > _BEST else "")
        times = fixed(len(here) / expected, 2) if expected else ""
        values = (f"layer {layer}", f"{len(here):,}", f"{there:,}", fixed(expected, 1), times, told)
        points.append(Point(len(here), place + 0.5, values))
    axes.set_xlabel(f"{kind}s in the spot; line: by chance", color=MUTED)
    axes.grid(axis="y", visible=False)
    return _LAYER, tuple(points)
