"""Curves over layers."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from codingspot.report.drawing import Panel
from codingspot.report.labels import domain_label
from codingspot.report.theme import CODE, GENERAL, MUTED, SPOTS

COLOURS: Final = (*SPOTS, CODE, GENERAL)
_DASHES: Final = ("-", "--", ":")


def domain_panel(title: str, alt: str, curves: pd.DataFrame, ylabel: str, **drawn: Any) -> Panel:
    """The panel that shows ``curves`` by :func:`draw_domains`, which has the other arguments."""
    return Panel(title, alt, partial(draw_domains, curves=curves, ylabel=ylabel, **drawn), size=(4.1, 3.6))


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
            color=COLOURS[index % len(COLOURS)],
            linestyle=_DASHES[index // len(COLOURS) % len(_DASHES)],
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


def _layer_axis(axes: Axes) -> None:
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
