"""Ticks of axes with few, named or far apart values: how their numbers are written, and which have room for a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure

from codingspot.report.labels import MINUS

_SHARE_OF_FIGURE: Final = 0.74  # how much of a figure's width and height its axes take, about
_LETTER_INCHES: Final = 0.07
_LINE_INCHES: Final = 0.16
_PLAIN: Final = (1e-3, 1e4)
_MOST_DECADES: Final = 6
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def write_numbers(values: Sequence[float]) -> list[str]:
    """Numbers as one axis shows them: all plain (``0.01``, ``1,000``) or, where some would be long, as powers of ten.

    Args:
        values: zero and powers of ten where some are below 0.001 or above 10,000, otherwise any.
    """
    sizes = [abs(value) for value in values if value]
    plain = all(_PLAIN[0] <= size <= _PLAIN[1] for size in sizes)
    return [_sign(value) + (_plain(abs(value)) if plain or not value else _power(abs(value))) for value in values]


def decades(least: float, most: float) -> list[float]:
    """Powers of ten from ``least`` to ``most``, the largest first, every second or third where there are many."""
    low, high = math.ceil(math.log10(least) - 1e-9), math.floor(math.log10(most) + 1e-9)
    step = max(1, math.ceil((high - low + 1) / _MOST_DECADES))
    return [10.0**power for power in range(high, low - 1, -step)]


def set_ticks(axis: Axis, values: Sequence[float], texts: Sequence[str]) -> None:
    """Ticks at all ``values``, and the texts of those that have room beside the ones before them in the list.

    The scale and the limits of the axis come before.
    """
    low, high = _places(axis, axis.get_view_interval())
    inches = _inches(axis) / abs(high - low)
    shown: list[tuple[float, float]] = []
    labels = []
    for place, text in zip(_places(axis, values), texts, strict=True):
        half = _LETTER_INCHES * len(text) / 2 if isinstance(axis, XAxis) else _LINE_INCHES / 2
        free = all(abs(place - other) * inches >= half + other_half for other, other_half in shown)
        labels.append(text if free else "")
        if free:
            shown.append((place, half))
    axis.set_ticks(list(values), labels)
    axis.set_ticks([], minor=True)


def symmetric_axes(axes: Axes, *, least: float) -> None:
    """Make both axes logarithmic away from zero and linear within ``least`` of it, with ticks at powers of ten."""
    axes.set_xscale("symlog", linthresh=least)
    axes.set_yscale("symlog", linthresh=least)
    for axis in (axes.xaxis, axes.yaxis):  # limits, which come with both scales, last
        low, high = axis.get_view_interval()
        sizes = decades(least, max(-low, high, least * 10))
        values = [0.0, *(value for size in sizes for value in (size, -size) if low <= value <= high)]
        set_ticks(axis, values, write_numbers(values))


def _places(axis: Axis, values: Sequence[float]) -> list[float]:
    return [float(place) for place in axis.get_transform().transform(np.array(values, dtype=float))]


def _inches(axis: Axis) -> float:
    figure = axis.get_figure(root=True)
    width, height = figure.get_size_inches() if isinstance(figure, Figure) else (4.0, 3.0)
    return _SHARE_OF_FIGURE * float(width if isinstance(axis, XAxis) else height)


def _sign(value: float) -> str:
    return MINUS if value < 0 else ""


def _plain(size: float) -> str:
    return f"{size:,.0f}" if size >= 1000 else f"{size:g}"


def _power(size: float) -> str:
    return f"10{str(round(math.log10(size))).translate(_SUPERSCRIPTS)}"
