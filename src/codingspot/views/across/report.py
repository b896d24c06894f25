"""How the views agree, in a report: profiles over depth, spots in neurons, the one without the other."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from codingspot.report.curves import COLOURS
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import domain_label, general_names
from codingspot.report.section import Section
from codingspot.report.table import Column, Number, Row, Table, number
from codingspot.report.theme import MARKERS
from codingspot.study.cells import Plan
from codingspot.views import Tables


def across_section(there: Tables, plan: Plan) -> Section:
    """How to read it, a picture, and the tables that there are."""
    tables = []
    if "across_spots" in there:
        tables += [_inside(there["across_spots"]), _zeroed(there["across_ablation"], plan)]
    if "across_pairs" in there:
        tables.append(_pairs(there["across_pairs"]))
    drawn = there["across_profiles"]
    return Section(
        "Whether parameters, neurons and representations point to the same place: profiles over depth, how "
        "much of a spot lies in the neurons' own parameters, and what zeroing the one without the other does.",
        (profiles(drawn),) if len(drawn) else (),
        tuple(tables),
    )


def profiles(table: pd.DataFrame) -> Picture:
    """All views by depth, each over its largest layer."""
    panel = Panel(
        "All views by depth",
        "Density of spots, specific neurons, alignment and keywords by depth, each over its largest layer.",
        partial(draw_profiles, table=table),
        size=(5.2, 3.7),
    )
    caption = (
        "Each view over its largest layer: share of a layer's parameters in a spot, of its neurons that are specific, "
        "mean alignment after it, and keywords of the target among the ten most probable tokens after it."
    )
    return Picture("profiles", "The views side by side", caption, (panel,))


def _inside(table: pd.DataFrame) -> Table:
    """Share of each spot's MLP parameters in each domain's neurons, against what is expected at random."""
    sums = table.groupby(["spot_name", "domain"], sort=False, as_index=False)[["spot", "inside", "expected"]].sum()
    rows = []
    for name, domain, spot, inside, expected in sums.itertuples(index=False, name=None):
        ratio = inside / expected if expected else None
        shares = (Number(100 * inside / spot if spot else None), Number(100 * expected / spot if spot else None))
        rows.append(Row(name, f"spot {name}", "spot", (domain_label(domain), Number(spot), *shares, Number(ratio))))
    columns = (
        Column("domain", "Neurons of"),
        Column("in_spot", "Spot in MLPs", "count"),
        Column("inside_percent", "In the neurons", "share"),
        Column("expected_percent", "At random", "share"),
        Column("ratio", "Ratio", "score"),
    )
    caption = (
        "Parameters of the spot, at its largest dose, in the MLPs' matrices, and how many of them belong to the "
        "neurons of each domain: rows of the gate and up projections and columns of the down projection. At random: "
        "the neurons' own share of their layers' MLP parameters."
    )
    return Table("across_spots", "Spots and the parameters of neurons", caption, columns, tuple(rows))


def _zeroed(table: pd.DataFrame, plan: Plan) -> Table:
    """Perplexity ratios with spot or neurons zeroed, and each without the other: of code, and each general domain."""
    general = [domain.name for domain in plan.domains if domain.kind == "general"]
    rows = []
    for (name, ablated, parameters), group in table.groupby(["spot", "ablated", "parameters"], sort=False):
        of = group["evaluated"]
        means = [_log_mean(group.loc[which, "ratio"]) for which in (~of.isin(general), *(of == one for one in general))]
        words = str(ablated).capitalize() + (f", {name}" if name else " of the code domains")
        rows.append(Row("", "", "spot", (words, Number(int(str(parameters))), *map(Number, means))))
    columns = (
        Column("zeroed", "Zeroed"),
        Column("parameters", "Parameters", "count"),
        Column("code", "Code ppl.", "ratio"),
        *(Column(one, f"{domain_label(one)} ppl.", "ratio") for one in general),
    )
    caption = (
        f"Geometric mean of perplexity ratios over the languages{f', and of {general_names(plan)}' if general else ''}"
        ", with the parameters of a spot (at its largest dose) or of all languages' specific neurons zeroed, and with "
        "each without what it shares with the other."
    )
    return Table("across_ablation", "Spot without neurons, neurons without spot", caption, columns, tuple(rows))


def _pairs(table: pd.DataFrame) -> Table:
    """Rank correlation of alignment with overlap of neurons."""
    rows = [
        Row("", "", "spot", (f"{kind} neurons", Number(pairs), number(rho), number(p_value)))
        for kind, pairs, rho, p_value in table[["overlap", "pairs", "rho", "p_value"]].itertuples(
            index=False, name=None
        )
    ]
    columns = (
        Column("overlap", "Overlap of"),
        Column("pairs", "Pairs", "count"),
        Column("rho", "Spearman", "score"),
        Column("p_value", "p", "p_value"),
    )
    caption = (
        "Over pairs of languages: are those that align closely those whose neurons are hard to tell apart? Rank "
        "correlation of mean alignment with the Jaccard index of neurons; p-value by permuting languages (Mantel)."
    )
    return Table("across_pairs", "Alignment and shared neurons", caption, columns, tuple(rows))


def _log_mean(ratios: pd.Series[float]) -> float | None:
    return float(np.exp(np.log(ratios).mean())) if len(ratios) else None


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
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle="--" if own else "-",
            label=f"spot {spot}" if own else names.get(str(view), str(view)),
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("depth (0: first layer, 1: last)")
    axes.set_ylabel("relative to its largest")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, columnspacing=1.0)
