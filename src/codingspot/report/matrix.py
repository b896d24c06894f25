"""Pictures of pairs: domains' shared regions, languages' spots against perplexities, predicted against actual."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from codingspot.escaping import visible
from codingspot.report.drawing import Panel, Picture
from codingspot.report.further import matrix_caption, predicted_and_actual
from codingspot.report.labels import domain_label, dose, ratio
from codingspot.report.run_files import Run
from codingspot.report.theme import CODE, GENERAL, INK, MUTED
from codingspot.report.ticks import symmetric_axes

_CELL_INCHES: Final = 0.42
_MARGIN_INCHES: Final = 1.25
_DARKEST: Final = 0.75
_GAP: Final = 0.05
_COMMON_LETTERS: Final = 12
_LETTER_INCHES: Final = 0.07
_SHOWN_K: Final = 0.25


def shared_regions(run: Run) -> Picture | None:
    """Jaccard index across halves of the text of every pair of domains, one panel a scope; None without halves."""
    table = run.further.get("overlap")
    if table is None or "split_jaccard" not in table or table["split_jaccard"].isna().all():
        return None
    k = min(table["k_percent"].unique(), key=lambda k: abs(math.log(k / _SHOWN_K)))
    panels = []
    for scope in table["scope"].unique():
        rows = table[(table["k_percent"] == k) & (table["scope"] == scope)]
        names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
        values = rows.pivot(index="first", columns="second", values="split_jaccard").reindex(names, columns=names)
        square = values.combine_first(values.T).reindex(names, columns=names)
        panels.append(
            Panel(
                f"scope {scope}",
                f"Jaccard index of the domains' spots at {dose(k)} across halves of the text, scope {scope}; the "
                "diagonal is a domain with itself.",
                partial(draw_matrix, values=square, shade=_shade_share, text=lambda v: f"{100 * v:.0f}"),
                size=_size(square),
            )
        )
    caption = (
        f"Percentage (Jaccard index) of the top {dose(k)} that two domains share across halves of the text. The "
        "diagonal is a domain with itself: what another sample of text leaves of one region. Pairs as dark as their "
        "diagonals share one region."
    )
    return Picture("shared_regions", "Which domains share a region?", caption, tuple(panels))


def language_matrix(run: Run) -> Picture | None:
    """Perplexity of every domain after zeroing each language's spot; None where the study didn't ask."""
    table = run.further.get("language_matrix")
    if table is None:
        return None
    rows = table[table["measure"] == "loss"].assign(ratio=lambda t: np.exp((t["value"] - t["original"]).astype(float)))
    spots, domains = (list(dict.fromkeys(rows[name])) for name in ("spot", "of"))
    ordered = [*(name for name in spots if name in domains), *(name for name in domains if name not in spots)]
    square = rows.pivot(index="spot", columns="of", values="ratio").reindex(spots, columns=ordered)
    panel = Panel(
        "Perplexity after zeroing a language's spot",
        "Perplexity ratio of every domain, in columns, after zeroing the spot of each language, in rows.",
        partial(draw_matrix, values=square, shade=_log_shade(square), text=ratio, ylabel="spot of"),
        size=_size(square),
    )
    return Picture("language_matrix", "Spots of languages and perplexity", matrix_caption(table), (panel,))


def prediction(run: Run) -> Picture | None:
    """Predicted against actual change of loss, a point a cell and domain; None where nothing was predicted."""
    joined = predicted_and_actual(run)
    joined = joined[np.isfinite(joined["change"].astype(float))]
    if not len(joined):
        return None
    panel = Panel(
        "Predicted and actual change of loss",
        "Actual against predicted change of loss, a point for each cell and domain.",
        partial(_draw_prediction, joined=joined),
        size=(4.4, 3.8),
    )
    caption = (
        "One point a cell and scored domain; on the dotted line first order says it all. Points far above it: the edit "
        "does what scores of first order can't see."
    )
    return Picture("prediction", "Predicted and actual change of loss", caption, (panel,))


def draw_matrix(
    axes: Axes,
    *,
    values: pd.DataFrame,
    shade: Callable[[float], float],
    text: Callable[[float], str],
    ylabel: str = "",
) -> None:
    """A table of shaded cells with their numbers.

    Args:
        values: rows and columns named by domain; missing values are left blank.
        shade: from a value to 0 (white) to 1.
        text: what stands in a cell.
        ylabel: what the rows are.
    """
    for y, (_, row) in enumerate(values.iterrows()):
        for x, value in enumerate(row.tolist()):
            if math.isnan(value):
                continue
            box = (x + _GAP / 2, y + _GAP / 2), 1 - _GAP, 1 - _GAP
            axes.add_patch(Rectangle(*box, facecolor=GENERAL, alpha=_DARKEST * shade(value), linewidth=0))
            axes.text(x + 0.5, y + 0.52, text(value), ha="center", va="center", fontsize=6.5, color=INK)
    names = [[domain_label(str(name)) for name in side] for side in (values.columns, values.index)]
    axes.set_xticks([i + 0.5 for i in range(len(names[0]))], names[0], rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks([i + 0.5 for i in range(len(names[1]))], names[1])
    axes.set_xlim(0, len(names[0]))
    axes.set_ylim(len(names[1]), 0)
    axes.set_ylabel(ylabel)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=7.5)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_prediction(axes: Axes, *, joined: pd.DataFrame) -> None:
    least = float(min(joined["predicted"].abs().max(), joined["change"].abs().max())) / 100 or 1e-3
    both = [*joined["predicted"].astype(float), *joined["change"].astype(float)]
    ends = [min(both) * 1.2, max(both) * 1.2]
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    for kind, colour, marker in (("code", CODE, "o"), ("general", GENERAL, "s")):
        rows = joined[joined["kind"] == kind]
        axes.plot(rows["predicted"], rows["change"], color=colour, marker=marker, linestyle="", markersize=3, alpha=0.6)
    symmetric_axes(axes, least=least)
    axes.set_xlabel("predicted, nats a token")
    axes.set_ylabel("actual, nats a token")
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=kind)
        for kind, colour, marker in (("code", CODE, "o"), ("general", GENERAL, "s"))
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, borderaxespad=0)


def _size(values: pd.DataFrame) -> tuple[float, float]:
    extra = names_inches(values)
    return _MARGIN_INCHES + extra + _CELL_INCHES * values.shape[1], 1.0 + extra + 0.27 * values.shape[0]


def names_inches(values: pd.DataFrame) -> float:
    """Width or height that the longest name of a row or column needs beyond that of a common one."""
    longest = max((len(visible(str(name))) for name in (*values.index, *values.columns)), default=0)
    return _LETTER_INCHES * max(0, longest - _COMMON_LETTERS)


def _shade_share(value: float) -> float:
    return math.sqrt(min(1.0, max(0.0, value)))


def _log_shade(values: pd.DataFrame) -> Callable[[float], float]:
    """Shade by the logarithm of a ratio, the largest in the table the darkest."""
    finite = values.to_numpy(float)[np.isfinite(values.to_numpy(float))]
    largest = max(math.log(max(float(finite.max()), 1.01)) if len(finite) else 1.0, 0.01)

    def shade(value: float) -> float:
        return 1.0 if math.isinf(value) else min(1.0, max(0.0, math.log(max(value, 1e-9)) / largest))

    return shade
