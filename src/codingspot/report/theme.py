"""The look of figures: colours that stay apart for colour-blind readers, and settings that make files reproducible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from matplotlib import style

INK: Final = "#1f2430"
MUTED: Final = "#5d6673"
RULE: Final = "#d5dae1"
CODE: Final = "#c2410c"
GENERAL: Final = "#1d6fb8"
SPOTS: Final = ("#00806a", "#8b4fb0", "#a87400", "#b3296b", "#3f7fa6", "#6b6b00")
"""Colours of a study's spots, in its order; markers differ too."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P")

CSS_VARIABLES: Final = {
    INK: "--figure-ink",
    MUTED: "--figure-muted",
    RULE: "--figure-rule",
    CODE: "--figure-code",
    GENERAL: "--figure-general",
    **{colour: f"--figure-spot-{index}" for index, colour in enumerate(SPOTS)},
}
"""On the page each colour is a variable, so that a dark page has its own."""

_SETTINGS: Final[dict[str, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlepad": 8,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.9,
    "legend.handletextpad": 0.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Names of spots and domains are text, never formulas.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    # The same figure gives the same file.
    "svg.hashsalt": "codingspot",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside this block; the caller's own matplotlib settings come back after it."""
    with style.context(["default", _SETTINGS]):
        yield
