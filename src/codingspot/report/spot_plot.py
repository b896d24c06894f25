"""A spot drawn by itself, for notebooks and scripts: the picture of it that a report has."""

from __future__ import annotations

from textwrap import fill

from matplotlib import pyplot
from matplotlib.axes import Axes

from codingspot.report.heatmap import draw_density, size_of
from codingspot.report.theme import figure_style
from codingspot.spot import Spot, density

_TITLE = 42
"""Characters of a line that the narrowest picture has room for."""


def plot_spot(spot: Spot, ax: Axes | None = None) -> Axes:
    """Where a spot lies: the percentage of each module's parameters that belong to it, by layer.

    Shading follows the square root, so that small shares can be seen; in brackets, the share of the spot.

    Args:
        spot: any.
        ax: axes to draw on, empty; by default those of a new figure of pyplot's, which a notebook shows.

    Returns:
        The axes; ``ax.figure.savefig("spot.png")`` writes the picture.
    """
    rows = density(spot)
    with figure_style():
        if ax is None:
            width, height = size_of(rows)
            ax = pyplot.subplots(figsize=(max(width, 4.1), height), layout="constrained")[1]
        draw_density(ax, rows=rows, spot="", scope=str(spot.metadata.get("scope")))
        ax.set_title(fill(repr(spot).strip("<>"), width=_TITLE))
    return ax
