"""The view of alignment in a report: scores of pairs, and each language's mean by layer."""

from __future__ import annotations

import pandas as pd

from codingspot.report.curves import domain_panel
from codingspot.report.drawing import Picture
from codingspot.report.labels import domain_label
from codingspot.report.section import Section
from codingspot.report.squares import square_panel, symmetric
from codingspot.report.table import Column, Number, Row, Table, number
from codingspot.study.cells import Plan
from codingspot.views import Tables
from codingspot.views.mexa.align import DISTINCT_ROWS


def alignment_section(there: Tables, _plan: Plan) -> Section:
    """How to read it, a picture and a table."""
    return Section(
        "Two languages are aligned in a layer as far as a program is closer to its own translation than to any "
        "other program (MEXA). Pairs of texts that are identical, or repeat, would score by their spelling "
        "alone and are left out.",
        (alignment(there["alignment"]),),
        (_aligned(there["alignment_pooled"]),),
    )


def alignment(scores: pd.DataFrame) -> Picture:
    """Scores of all pairs in some layers, and each language's mean by layer."""
    rows = scores[scores["pairs"] == DISTINCT_ROWS]
    last = int(rows["layer"].max())
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    panels = []
    for layer, words in ((0, "token embeddings"), (last // 2, f"layer {last // 2}"), (last, f"layer {last}, the last")):
        upper = rows[rows["layer"] == layer].pivot(index="first", columns="second", values="score")
        square = symmetric(upper, names)
        panels.append(
            square_panel(
                words,
                f"Alignment of every pair of languages, {words}.",
                square,
                "share",
            )
        )
    sides = [rows.rename(columns={side: "domain", "score": "value"}) for side in ("first", "second")]
    means = pd.concat(sides).groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
    chance = rows.groupby("layer")["null_high"].mean()
    panels.append(
        domain_panel(
            "mean with all others",
            "Mean alignment of each language with all others, by layer.",
            means,
            "alignment",
            floor=chance,
        )
    )
    caption = (
        "Share of programs that are closer to their own translation than to any other program, in percent, for pairs "
        "of different texts; a language with itself is left out. The dotted line is the 0.95 quantile under random "
        "pairing."
    )
    return Picture("alignment", "Which languages are aligned", caption, tuple(panels))


def _aligned(pooled: pd.DataFrame) -> Table:
    """Every pair, closest first: mean and largest score, with and without identical and repeated texts."""
    keys = ["first", "second"]
    every = pooled.loc[pooled["pairs"] != DISTINCT_ROWS, [*keys, "mean"]].rename(columns={"mean": "mean_all"})
    both = pooled[pooled["pairs"] == DISTINCT_ROWS].merge(every, on=keys)
    both = both.sort_values("mean", ascending=False, kind="stable")
    rows = []
    figures = ["mean", "max", "best_layer", "rows", "mean_all", "identical"]
    for first, second, *found in both[[*keys, *figures]].itertuples(index=False, name=None):
        values: list[str | Number] = [f"{domain_label(first)}, {domain_label(second)}", *map(number, found)]
        rows.append(Row("", "", "spot", tuple(values)))
    columns = (
        Column("pair", "Pair"),
        Column("mean", "Mean", "score"),
        Column("max", "Largest", "score"),
        Column("best_layer", "In layer", "count"),
        Column("rows", "Programs", "count"),
        Column("mean_all", "Mean, all texts", "score"),
        Column("identical", "Identical", "count"),
    )
    caption = (
        "Alignment of pairs of languages, closest first: mean and largest over layers, for programs whose texts differ "
        "and repeat no other; beside it the mean over all texts, and how many are identical."
    )
    return Table("alignment", "Alignment of pairs of languages", caption, columns, tuple(rows))
