"""The view of neurons in a report: where they lie, what silencing them does, which domains share them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from codingspot.report.curves import domain_panel
from codingspot.report.drawing import Picture
from codingspot.report.labels import domain_label
from codingspot.report.rows import over
from codingspot.report.section import Section
from codingspot.report.squares import square_panel, symmetric
from codingspot.report.table import Column, Number, Row, Table
from codingspot.study.cells import Plan
from codingspot.views import Tables

_WHOLE: Final = -1


def neurons_section(there: Tables, _plan: Plan) -> Section:
    """How to read it, three pictures and two tables."""
    pictures = [neuron_layers(there["neurons_layers"])]
    if len(there["neurons_ablation"]):
        pictures.append(neuron_ablation(there["neurons_ablation"]))
    pictures.append(neuron_sharing(there["neurons_sharing"], _silenced(there)))
    return Section(
        "A neuron is specific to a language where it is active on few others (lowest entropy of its activation "
        "probability, LAPE). The claim is worth something only if silencing a language's neurons harms that "
        "language more than others, and more than random neurons that are active as often.",
        tuple(pictures),
        (_neurons(there["neurons_layers"], there["neurons_ablation"]), _sweep(there["neurons_sweep"])),
    )


def neuron_layers(layers: pd.DataFrame) -> Picture:
    """Specific neurons by domain and layer, one panel a selection, and the exclusive ones."""
    panels = []
    for selection, rows in layers.groupby("selection", sort=False):
        for kind in ("specific", "exclusive"):
            square = rows.pivot(index="domain", columns="layer", values=kind).reindex(rows["domain"].unique())
            panels.append(
                square_panel(
                    f"{selection}: {kind}",
                    f"Neurons {'specific' if kind == 'specific' else 'specific to no other domain'}, by domain in rows "
                    f"and layer in columns, selection {selection}.",
                    square.astype(float),
                    "count",
                    xlabel="layer",
                )
            )
    caption = (
        "Neurons specific to each domain by layer, and of those the ones specific to it alone. lape: the lowest "
        "entropies of all neurons, each for every domain above the bar; per-language: as many for each domain."
    )
    return Picture("neuron_layers", "Where specific neurons lie", caption, tuple(panels))


def neuron_ablation(ablation: pd.DataFrame) -> Picture:
    """Change of perplexity of every domain with each domain's neurons silent, beside random neurons."""
    domains = list(dict.fromkeys(ablation["ablated"]))
    panels = []
    largest = float(np.abs(np.log(ablation["ratio"])).max())
    for control, title in (("", "each domain's neurons"), ("random", "random neurons, mean")):
        rows = ablation[ablation["control"] == control]
        if not len(rows):
            continue
        means = rows.assign(log=np.log(rows["ratio"])).groupby(["ablated", "evaluated"])["log"].mean()
        square = means.unstack().reindex(index=domains, columns=domains).apply(np.exp)
        panels.append(
            square_panel(
                title,
                f"Change of perplexity in percent with {title} silent: silenced domain in rows, evaluated in columns.",
                square,
                "change",
                ylabel="silent neurons of",
                largest=largest,
            )
        )
    caption = (
        "Change of perplexity, in percent, of every domain (columns) with the neurons of one (rows) silent. Specific "
        "neurons would darken the diagonal alone, and more than random neurons of the same layers that are as often "
        "active do."
    )
    return Picture("neuron_ablation", "What silencing neurons does", caption, tuple(panels))


def _silenced(there: Tables) -> str:
    """The selection whose neurons were silenced; the first where none was."""
    table = there["neurons_ablation"] if len(there["neurons_ablation"]) else there["neurons_layers"]
    return str(table["selection"].iloc[0])


def neuron_sharing(sharing: pd.DataFrame, selection: str) -> Picture:
    """Overlap of domains' specific and active neurons, pair by pair and by layer."""
    rows = sharing[sharing["selection"] == selection]
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    panels = []
    for kind in ("specific", "active"):
        upper = rows[rows["layer"] == _WHOLE].pivot(index="first", columns="second", values=kind)
        panels.append(
            square_panel(
                f"{kind} neurons",
                f"Jaccard index of the {kind} neurons of every pair of domains, in percent.",
                symmetric(upper, names),
                "share",
            )
        )
    inside = rows[rows["layer"] != _WHOLE].melt(["layer"], ["specific", "active"], "domain", "value")
    curves = inside.groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
    panels.append(
        domain_panel(
            "by layer, mean over pairs",
            "Mean Jaccard index over pairs of domains by layer, of specific and of active neurons.",
            curves,
            "Jaccard index",
        )
    )
    caption = (
        f"Overlap (Jaccard index) of two domains' specific neurons ({selection}) and of all their active neurons, those"
        " with an activation probability above the bar: in percent for pairs, and its mean over pairs by layer."
    )
    return Picture("neuron_sharing", "Which domains share neurons", caption, tuple(panels))


def _neurons(layers: pd.DataFrame, ablation: pd.DataFrame) -> Table:
    """Neurons by domain, and the mean perplexity ratios with them silent."""
    silenced = ablation.assign(log=np.log(ablation["ratio"]), own=ablation["ablated"] == ablation["evaluated"])
    rows = []
    first = layers.sort_values("selection", key=lambda each: ~each.isin(silenced["selection"]), kind="stable")
    for (selection, domain), group in first.groupby(["selection", "domain"], sort=False):
        values: list[str | Number] = [domain_label(str(domain)), str(selection)]
        for kind in ("specific", "exclusive"):
            count = int(group[kind].sum())
            values += [Number(count), Number(float((group["layer"] * group[kind]).sum()) / count if count else None)]
        edits = silenced[(silenced["ablated"] == domain) & (silenced["selection"] == selection)]
        for control in ("", "random"):
            for own in (True, False):
                logs = edits.loc[(edits["control"] == control) & (edits["own"] == own), "log"]
                values.append(Number(100 * math.expm1(float(logs.mean())) if len(logs) else None))
        rows.append(Row("", "", "spot", tuple(values)))
    columns = (
        Column("domain", "Domain"),
        Column("selection", "Selection"),
        Column("neurons", "Number", "count", "Neurons"),
        Column("mean_layer", "Mean layer", "score", "Neurons"),
        Column("exclusive", "Number", "count", "Of it alone"),
        Column("mean_exclusive_layer", "Mean layer", "score", "Of it alone"),
        Column("own_change_percent", "Own", "change", "Change of perplexity"),
        Column("others_change_percent", "Others", "change", "Change of perplexity"),
        Column("random_own_change_percent", "Own, random", "change", "Change of perplexity"),
        Column("random_others_change_percent", "Others, random", "change", "Change of perplexity"),
    )
    caption = (
        "Neurons specific to each domain, the mean layer they lie in, and those specific to it alone; change "
        "(geometric mean) of the perplexity of the domain itself and of all others with its neurons silent, and with "
        "random neurons of the same layers that are as often active (mean over draws). Of the two ways to "
        "select, only the neurons of the first are silenced: per-language takes as many for each domain, lape those of "
        "the lowest entropy of all, each for every domain on which it is active."
    )
    return Table("neurons", "Specific neurons", caption, columns, tuple(rows))


def _sweep(sweep: pd.DataFrame) -> Table:
    """How firm the sets are: mean Jaccard index with the reference over domains."""
    rows = []
    keys = ["selection", "varied", "quantile", "share"]
    largest = sweep.groupby("domain")["tokens"].transform("max")
    text = sweep.assign(share=100 * sweep["tokens"] / largest)
    for (selection, varied, quantile, share), group in text.groupby(keys, sort=False):
        told = (str(selection), str(varied), Number(float(str(quantile))), Number(float(str(share))))
        rows.append(Row("", "", "spot", (*told, over(group["jaccard"].dropna()))))
    columns = (
        Column("selection", "Selection"),
        Column("varied", "Varied"),
        Column("quantile", "Quantile", "score"),
        Column("text_percent", "Text", "share"),
        Column("jaccard", "Jaccard", "score", has_range=True),
    )
    caption = (
        "Jaccard index of each domain's neurons with those of all text at the study's own quantile, as the quantile or "
        "the amount of text varies: mean over domains, smallest and largest in brackets."
    )
    return Table("neuron_sweep", "How firm the sets of neurons are", caption, columns, tuple(rows))
