"""The pictures of views: where neurons lie and what they do, alignment, the logit lens, profiles over depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from codingspot.report.drawing import Panel, Picture
from codingspot.report.run_files import Run
from codingspot.report.view_plots import draw_domains, draw_profiles, draw_square, square_size

_DISTINCT: Final = "distinct"
_WHOLE: Final = -1


def view_pictures(run: Run) -> tuple[Picture, ...]:
    """The pictures of all views that the run has tables for."""
    there = run.further
    found = []
    if "neurons_layers" in there:
        found.append(neuron_layers(there["neurons_layers"]))
        if len(there.get("neurons_ablation", ())):
            found.append(neuron_ablation(there["neurons_ablation"]))
        found.append(neuron_sharing(there["neurons_sharing"], _silenced(there)))
    if "alignment" in there:
        found.append(alignment(there["alignment"]))
    if "lens_targets" in there:
        found.append(lens(there["lens_sets"], there["lens_targets"]))
    if len(there.get("across_profiles", ())):
        found.append(profiles(there["across_profiles"]))
    return tuple(found)


def neuron_layers(layers: pd.DataFrame) -> Picture:
    """Specific neurons by domain and layer, one panel a selection, and the exclusive ones."""
    panels = []
    for selection, rows in layers.groupby("selection", sort=False):
        for kind in ("specific", "exclusive"):
            square = rows.pivot(index="domain", columns="layer", values=kind).reindex(rows["domain"].unique())
            panels.append(
                Panel(
                    f"{selection}: {kind}",
                    f"Neurons {'specific' if kind == 'specific' else 'specific to no other domain'}, by domain in rows "
                    f"and layer in columns, selection {selection}.",
                    partial(draw_square, values=square.astype(float), text="count", xlabel="layer"),
                    size=square_size(square),
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
            Panel(
                title,
                f"Change of perplexity in percent with {title} silent: silenced domain in rows, evaluated in columns.",
                partial(draw_square, values=square, text="change", ylabel="silent neurons of", largest=largest),
                size=square_size(square),
            )
        )
    caption = (
        "Change of perplexity, in percent, of every domain (columns) with the neurons of one (rows) silent. Specific "
        "neurons would darken the diagonal alone, and more than random neurons of the same layers that are as often "
        "active do."
    )
    return Picture("neuron_ablation", "What silencing neurons does", caption, tuple(panels))


def _silenced(there: Mapping[str, pd.DataFrame]) -> str:
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
            Panel(
                f"{kind} neurons",
                f"Jaccard index of the {kind} neurons of every pair of domains, in percent.",
                partial(draw_square, values=_square(upper, names), text="share"),
                size=square_size(_square(upper, names)),
            )
        )
    inside = rows[rows["layer"] != _WHOLE].melt(["layer"], ["specific", "active"], "domain", "value")
    curves = inside.groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
    panels.append(
        Panel(
            "by layer, mean over pairs",
            "Mean Jaccard index over pairs of domains by layer, of specific and of active neurons.",
            partial(draw_domains, curves=curves, ylabel="Jaccard index"),
            size=(4.1, 3.6),
        )
    )
    caption = (
        f"Overlap (Jaccard index) of two domains' specific neurons ({selection}) and of all their active neurons, those"
        " with an activation probability above the bar: in percent for pairs, and its mean over pairs by layer."
    )
    return Picture("neuron_sharing", "Which domains share neurons", caption, tuple(panels))


def _square(upper: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A symmetric table from its part above the diagonal, which stays empty."""
    square = upper.reindex(index=names, columns=names)
    return square.combine_first(square.T).reindex(index=names, columns=names)


def alignment(scores: pd.DataFrame) -> Picture:
    """Scores of all pairs in some layers, and each language's mean by layer."""
    rows = scores[scores["pairs"] == _DISTINCT]
    last = int(rows["layer"].max())
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    panels = []
    for layer, words in ((0, "token embeddings"), (last // 2, f"layer {last // 2}"), (last, f"layer {last}, the last")):
        upper = rows[rows["layer"] == layer].pivot(index="first", columns="second", values="score")
        square = _square(upper, names)
        panels.append(
            Panel(
                words,
                f"Alignment of every pair of languages, {words}.",
                partial(draw_square, values=square, text="share"),
                size=square_size(square),
            )
        )
    sides = [rows.rename(columns={side: "domain", "score": "value"}) for side in ("first", "second")]
    means = pd.concat(sides).groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
    chance = rows.groupby("layer")["null_high"].mean()
    panels.append(
        Panel(
            "mean with all others",
            "Mean alignment of each language with all others, by layer.",
            partial(draw_domains, curves=means, ylabel="alignment", floor=chance),
            size=(4.1, 3.6),
        )
    )
    caption = (
        "Share of programs that are closer to their own translation than to any other program, in percent, for pairs "
        "of different texts; a language with itself is left out. The dotted line is the 0.95 quantile under random "
        "pairing."
    )
    return Picture("alignment", "Which languages are aligned", caption, tuple(panels))


def lens(sets: pd.DataFrame, targets: pd.DataFrame) -> Picture:
    """Keywords and English words among the most probable tokens, and the rank of the answer, by layer and target."""
    every = sets[sets["kind"] == "all"]
    own, english = every[every["set"] == every["target"]], every[every["set"] == "english"]
    names = dict.fromkeys([*targets["source"], *targets["target"]])  # the corpus' order, as in other pictures
    order = {name: place for place, name in enumerate(names)}
    panels = []
    for title, table, column, log in (
        ("target's keywords", own, "share", False),
        ("English words", english, "share", False),
        ("rank of the answer", targets, "rank", True),
        ("best rank of a keyword", own, "best_rank", True),
    ):
        if len(table):
            ordered = table.sort_values("target", key=lambda each: each.map(order), kind="stable")
            renamed = ordered.rename(columns={"target": "domain", column: "value"})
            curves = renamed.groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
            label = "rank" if log else "share of the top ten"
            panels.append(
                Panel(
                    title,
                    f"{title.capitalize()} by layer, one curve a target language.",
                    partial(draw_domains, curves=curves, ylabel=label, log=log),
                    size=(4.1, 3.6),
                )
            )
    caption = (
        "By layer and target language: share of the ten most probable tokens that are keywords of the target or "
        "English words, the median rank of the answer's next token, and of the best keyword of the target. Layer 0 is "
        "the token embeddings."
    )
    return Picture("lens", "What each layer would say", caption, tuple(panels))


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
