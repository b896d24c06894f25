"""Squares of shaded cells with numbers in them, such as pairs of domains or domains by layer.

Cells are drawn one by one, not as an image, so that the page's own colours shade them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from codingspot.escaping import visible
from codingspot.report.drawing import Panel
from codingspot.report.labels import MINUS, domain_label, ratio
from codingspot.report.theme import GENERAL, INK

Text = Literal["count", "share", "change", "ratio"]

_DARKEST: Final = 0.74
_GAP: Final = 0.05
_SHOWN_COLUMNS: Final = 12
_CELL_INCHES: Final = 0.4
_COMMON_LETTERS: Final = 12
_LETTER_INCHES: Final = 0.07


def shaded_cell(
    axes: Axes, x: float, y: float, shade: float, text: str, *, width: float = 1.0, fontsize: float = 6.5
) -> None:
    """One cell with its text, from (x, y) on; ``shade`` goes from 0, white, to 1."""
    box = (x + _GAP / 2, y + _GAP / 2), width - _GAP, 1 - _GAP
    # No patch, which would fit the limits of the axes to itself each time: they are set by whoever draws the cells.
    axes.add_artist(Rectangle(*box, facecolor=GENERAL, alpha=_DARKEST * shade, linewidth=0))
    axes.text(x + width / 2, y + 0.52, text, ha="center", va="center", fontsize=fontsize, color=INK)


def bare(axes: Axes) -> None:
    """Leave of the axes' own lines nothing but the names, those of columns above."""
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=7.5)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)


def square_panel(title: str, alt: str, values: pd.DataFrame, text: Text, **drawn: Any) -> Panel:
    """The panel that shows ``values`` by :func:`draw_square`, which has the other arguments."""
    return Panel(title, alt, partial(draw_square, values=values, text=text, **drawn), size=square_size(values))


def square_size(values: pd.DataFrame) -> tuple[float, float]:
    """Width and height in inches of the panel that shows ``values``."""
    longest = max((len(visible(str(name))) for name in (*values.index, *values.columns)), default=0)
    extra = _LETTER_INCHES * max(0, longest - _COMMON_LETTERS)
    columns = min(values.shape[1], _SHOWN_COLUMNS) if _numbered(values) else values.shape[1]
    return 1.3 + extra + _CELL_INCHES * max(columns, 4), 1.1 + extra + 0.265 * values.shape[0]


def draw_square(
    axes: Axes,
    *,
    values: pd.DataFrame,
    text: Text,
    ylabel: str = "",
    xlabel: str = "",
    largest: float | None = None,
) -> None:
    """Shaded cells with numbers; of more than a dozen numbered columns, neighbours are summed.

    Args:
        axes: empty.
        values: rows by domain; columns by domain, or by layer where ``xlabel`` is given. Missing ones are left blank.
        text: ``count``: as it is; ``share``: in percent, shaded by its square root, so that small ones are seen;
            ``change``: of a ratio, in percent, and ``ratio``: as it is, both shaded by its logarithm.
        ylabel: what the rows are.
        xlabel: what the columns are, if not domains.
        largest: of ``change`` and ``ratio``, the logarithm that is darkest; by default of the largest value.
    """
    shown = _pooled(values)
    finite = shown.to_numpy(float)[np.isfinite(shown.to_numpy(float))]
    highest = max(float(finite.max()), 1.01) if len(finite) else math.e
    log = max(math.log(highest) if largest is None else largest, 0.01)
    looks: dict[Text, tuple[Callable[[float], float], Callable[[float], str]]] = {
        "count": (lambda value: value / highest, _count),
        "share": (lambda value: math.sqrt(min(1.0, max(0.0, value))), _share),
        "change": (lambda value: math.sqrt(_of_log(value, log)), _change),
        "ratio": (partial(_of_log, log=log), ratio),
    }
    shade, write = looks[text]
    for y, (_, row) in enumerate(shown.iterrows()):
        for x, value in enumerate(row.tolist()):
            if not math.isnan(value):
                shaded_cell(axes, x, y, shade(value), write(value))
    columns, rows = ([domain_label(str(name)) for name in side] for side in (shown.columns, shown.index))
    level: dict[str, Any] = {"rotation": 0, "ha": "center"}
    slanted: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
    axes.set_xticks([i + 0.5 for i in range(len(columns))], columns, **(level if xlabel else slanted))
    axes.set_yticks([i + 0.5 for i in range(len(rows))], rows)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_ylabel(ylabel)
    axes.set_xlabel(xlabel)
    axes.xaxis.set_label_position("top")
    bare(axes)


def symmetric(upper: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A symmetric table from its part above the diagonal, which stays empty where it isn't there."""
    square = upper.reindex(index=names, columns=names)
    return square.combine_first(square.T).reindex(index=names, columns=names)


def _numbered(values: pd.DataFrame) -> bool:
    return all(isinstance(name, int | np.integer) for name in values.columns)


def _pooled(values: pd.DataFrame) -> pd.DataFrame:
    if values.shape[1] <= _SHOWN_COLUMNS or not _numbered(values):
        return values
    step = math.ceil(values.shape[1] / _SHOWN_COLUMNS)
    groups = [values.columns[start : start + step] for start in range(0, values.shape[1], step)]
    return pd.DataFrame({f"{group[0]}-{group[-1]}": values[group].sum(axis=1) for group in groups})


def _of_log(value: float, log: float) -> float:
    return 1.0 if math.isinf(value) else min(1.0, max(0.0, math.log(max(value, 1e-9)) / log))


def _count(value: float) -> str:
    return f"{value:.0f}" if value else "·"


def _share(value: float) -> str:
    return f"{100 * value:.0f}"


def _change(value: float) -> str:
    change = 100 * (value - 1)
    digits = 0 if abs(change) >= 10 else 1
    written = f"{abs(change):.{digits}f}"
    return "0" if float(written) == 0 else f"{'+' if change > 0 else MINUS}{written}"
