"""Shaded squares and curves over layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from codingspot.report.labels import MINUS, domain_label
from codingspot.report.matrix import draw_matrix, names_inches
from codingspot.report.theme import CODE, GENERAL, MARKERS, MUTED, SPOTS

Text = Literal["count", "share", "change"]

_COLOURS: Final = (*SPOTS, CODE, GENERAL)
_DASHES: Final = ("-", "--", ":")
_SHOWN_COLUMNS: Final = 12
_CELL_INCHES: Final = 0.36


def square_size(values: pd.DataFrame) -> tuple[float, float]:
    """Width and height in inches of the panel that shows ``values``."""
    columns = min(values.shape[1], _SHOWN_COLUMNS)
    extra = names_inches(values)
    return 1.3 + extra + _CELL_INCHES * max(columns, 4), 1.1 + extra + 0.26 * values.shape[0]


def draw_square(
    axes: Axes,
    *,
    values: pd.DataFrame,
    text: Text,
    ylabel: str = "",
    xlabel: str = "",
    largest: float | None = None,
) -> None:
    """Shaded cells with numbers; many columns are pooled to a dozen by their sum.

    Args:
        axes: empty.
        values: rows by domain; columns by domain, or by layer where ``xlabel`` is given.
        text: ``count``: as it is; ``share``: in percent; ``change``: of a ratio, in percent.
        ylabel: what the rows are.
        xlabel: what the columns are, if not domains.
        largest: of ``change``, the logarithm of the ratio that is darkest.
    """
    shown = _pooled(values)
    finite = shown.to_numpy(float)
    highest = float(np.nanmax(finite)) if np.isfinite(finite).any() else 1.0
    looks: dict[Text, tuple[Callable[[float], float], Callable[[float], str]]] = {
        "count": (partial(_shade_count, highest=max(highest, 1.0)), _count),
        "share": (_shade_share, _share),
        "change": (partial(_shade_change, largest=largest or 0.01), _change),
    }
    shade, write = looks[text]
    draw_matrix(axes, values=shown, shade=shade, text=write, ylabel=ylabel)
    if xlabel:
        axes.set_xticks(
            [place + 0.5 for place in range(shown.shape[1])],
            [str(name) for name in shown.columns],
            rotation=0,
            ha="center",
        )
        axes.set_xlabel(xlabel)
        axes.xaxis.set_label_position("top")


def symmetric(upper: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A symmetric table from its part above the diagonal, which stays empty."""
    square = upper.reindex(index=names, columns=names)
    return square.combine_first(square.T).reindex(index=names, columns=names)


def _pooled(values: pd.DataFrame) -> pd.DataFrame:
    if values.shape[1] <= _SHOWN_COLUMNS or not all(isinstance(name, int | np.integer) for name in values.columns):
        return values
    step = math.ceil(values.shape[1] / _SHOWN_COLUMNS)
    groups = [values.columns[start : start + step] for start in range(0, values.shape[1], step)]
    return pd.DataFrame({f"{group[0]}-{group[-1]}": values[group].sum(axis=1) for group in groups})


def _shade_count(value: float, *, highest: float) -> float:
    return value / highest


def _shade_share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _shade_change(value: float, *, largest: float) -> float:
    return math.sqrt(min(1.0, max(0.0, math.log(max(value, 1e-9))) / max(largest, 1e-9)))


def _count(value: float) -> str:
    return f"{value:.0f}" if value else "·"


def _share(value: float) -> str:
    return f"{100 * value:.0f}"


def _change(value: float) -> str:
    change = 100 * (value - 1)
    digits = 0 if abs(change) >= 10 else 1
    written = f"{abs(change):.{digits}f}"
    return "0" if float(written) == 0 else f"{'+' if change > 0 else MINUS}{written}"


def draw_domains(
    axes: Axes, *, curves: pd.DataFrame, ylabel: str, log: bool = False, floor: pd.Series[float] | None = None
) -> None:
    """One curve a domain over layers.

    Args:
        axes: empty.
        curves: ``domain``, ``layer``, ``value``.
        ylabel: of the value.
        log: whether the value's axis is logarithmic.
        floor: a dotted line by layer.
    """
    for index, (domain, rows) in enumerate(curves.groupby("domain", sort=False)):
        axes.plot(
            rows["layer"],
            rows["value"],
            color=_COLOURS[index % len(_COLOURS)],
            linestyle=_DASHES[index // len(_COLOURS) % len(_DASHES)],
            linewidth=1.3,
            label=domain_label(str(domain)),
        )
    if floor is not None:
        axes.plot(floor.index, floor.to_numpy(), color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # a curve may stay within one power of ten
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    _layer_axis(axes)
    axes.set_ylabel(ylabel)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, columnspacing=1.0)


def draw_profiles(axes: Axes, *, table: pd.DataFrame) -> None:
    """Every view over depth, relative to its largest.

    Args:
        axes: empty.
        table: ``view``, ``spot`` (empty for the views that are no spot's), ``depth``, ``relative``.
    """
    names = {"neurons": "specific neurons", "alignment": "alignment", "keywords": "target's keywords"}
    for index, ((view, spot), rows) in enumerate(table.groupby(["view", "spot"], sort=False)):
        own = view == "spot"
        axes.plot(
            rows["depth"],
            rows["relative"],
            color=_COLOURS[index % len(_COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle="--" if own else "-",
            label=f"spot {spot}" if own else names.get(str(view), str(view)),
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("depth (0: first layer, 1: last)")
    axes.set_ylabel("relative to its largest")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, columnspacing=1.0)


def _layer_axis(axes: Axes) -> None:
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
