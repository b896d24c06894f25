"""Pictures of pairs: domains' shared regions, languages' spots against perplexities, predicted against actual."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from codingspot.report.drawing import Panel, Picture
from codingspot.report.further import matrix_caption, predicted_and_actual
from codingspot.report.labels import dose
from codingspot.report.run_files import Run
from codingspot.report.squares import draw_square, square_size, symmetric
from codingspot.report.theme import CODE, GENERAL, MUTED
from codingspot.report.ticks import symmetric_axes

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
        square = symmetric(values, names)
        panels.append(
            Panel(
                f"scope {scope}",
                f"Jaccard index of the domains' spots at {dose(k)} across halves of the text, scope {scope}; the "
                "diagonal is a domain with itself.",
                partial(draw_square, values=square, text="share"),
                size=square_size(square),
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
        partial(draw_square, values=square, text="ratio", ylabel="spot of"),
        size=square_size(square),
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
