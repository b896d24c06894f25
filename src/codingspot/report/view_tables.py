"""The tables of views: specific neurons, alignment of pairs, the logit lens, and how these agree with the spots."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from codingspot.report.labels import domain_label, general_names
from codingspot.report.run_files import Run
from codingspot.report.table import Column, Number, Row, Table
from codingspot.study.cells import Plan

_DISTINCT: Final = "distinct"


def view_tables(run: Run) -> tuple[Table, ...]:
    """The tables of all views that the run has."""
    there = run.further
    found = []
    if "neurons_layers" in there:
        found.append(_neurons(there["neurons_layers"], there["neurons_ablation"]))
        found.append(_sweep(there["neurons_sweep"]))
    if "alignment_pooled" in there:
        found.append(_aligned(there["alignment_pooled"]))
    if "lens_targets" in there:
        found.append(_lens(there["lens_sets"], there["lens_targets"]))
        found.append(_generation(there["lens_generation"]))
    if "across_spots" in there:
        found.append(_inside(there["across_spots"]))
        found.append(_zeroed(there["across_ablation"], run.plan))
    if "across_pairs" in there:
        found.append(_pairs(there["across_pairs"]))
    return tuple(table for table in found if table.rows)


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
        figures = group["jaccard"].dropna()
        mean = (
            Number(float(figures.mean()), float(figures.min()), float(figures.max())) if len(figures) else Number(None)
        )
        rows.append(
            Row(
                "",
                "",
                "spot",
                (str(selection), str(varied), Number(float(str(quantile))), Number(float(str(share))), mean),
            )
        )
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


def _aligned(pooled: pd.DataFrame) -> Table:
    """Every pair, closest first: mean and largest score, with and without identical and repeated texts."""
    keys = ["first", "second"]
    every = pooled.loc[pooled["pairs"] != _DISTINCT, [*keys, "mean"]].rename(columns={"mean": "mean_all"})
    both = pooled[pooled["pairs"] == _DISTINCT].merge(every, on=keys)
    both = both.sort_values("mean", ascending=False, kind="stable")
    rows = []
    figures = ["mean", "max", "best_layer", "rows", "mean_all", "identical"]
    for first, second, *found in both[[*keys, *figures]].itertuples(index=False, name=None):
        values: list[str | Number] = [f"{domain_label(first)}, {domain_label(second)}", *map(_number, found)]
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


def _lens(sets: pd.DataFrame, targets: pd.DataFrame) -> Table:
    """Means over all pairs of languages, layer by layer."""
    every = sets[sets["kind"] == "all"]
    kinds = {
        "target": every[every["set"] == every["target"]],
        "source": every[every["set"] == every["source"]],
        "shared": every[every["set"] == "shared"],
        "english": every[every["set"] == "english"],
    }
    shares = {kind: rows.groupby("layer")["share"].mean() for kind, rows in kinds.items()}
    means = targets.groupby("layer")[["first", "probability", "rank", "entropy"]].mean()
    rows = [
        Row(
            "",
            "",
            "spot",
            (
                Number(int(str(layer))),
                *(_number(found[name]) for name in ("first", "probability", "rank", "entropy")),
                *(_number(100 * share.get(layer, math.nan)) for share in shares.values()),
            ),
        )
        for layer, found in means.iterrows()
    ]
    columns = (
        Column("layer", "Layer", "count"),
        Column("first", "Answer first", "score"),
        Column("probability", "Probability", "score"),
        Column("rank", "Rank", "count"),
        Column("entropy", "Entropy (nats)", "score"),
        Column("target_keywords", "Target's keywords", "share", "In the top ten"),
        Column("source_keywords", "Source's", "share", "In the top ten"),
        Column("shared_keywords", "Shared", "share", "In the top ten"),
        Column("english_words", "English", "share", "In the top ten"),
    )
    caption = (
        "Means over all ordered pairs of languages and positions of the answers: how often the answer's next token is "
        "the most probable, its probability, median rank and the entropy of the distribution; how many of the ten most "
        "probable tokens are keywords of the target, of the source, of several languages, and English words (a token "
        "may be of several)."
    )
    return Table("lens", "What each layer would say", caption, columns, tuple(rows))


def _generation(generation: pd.DataFrame) -> Table:
    """Of the answers the model wrote, how many are in the target language, the source, another."""
    rows = []
    for method, group in generation.groupby("method", sort=False):
        right, source = group["found"] == group["target"], group["found"] == group["source"]
        undecided = group["found"] == "undecided"
        counts = [
            group.loc[which, "answers"].sum() for which in (right, source, ~right & ~source & ~undecided, undecided)
        ]
        wrong = group[~right & ~undecided].groupby("found")["answers"].sum()
        worst = domain_label(str(wrong.idxmax())) if len(wrong) else "none"
        rows.append(Row("", "", "spot", (str(method).capitalize(), *(Number(int(n)) for n in counts), worst)))
    columns = (
        Column("judged_by", "Judged by"),
        Column("target", "Target", "count"),
        Column("source", "Source", "count"),
        Column("other", "Another", "count"),
        Column("undecided", "Undecided", "count"),
        Column("most_often_instead", "Most often instead"),
    )
    caption = (
        "Answers that the model wrote itself, by the language they are in, judged by keywords that one language alone "
        "has and by parsing; the reference rows judge the parallel code itself, which shows what judging can't tell."
    )
    return Table("lens_generation", "In which language the model answers", caption, columns, tuple(rows))


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
        Column("spot", "Spot in MLPs", "count"),
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
        Row("", "", "spot", (f"{kind} neurons", Number(pairs), _number(rho), _number(p_value)))
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


def _number(value: float) -> Number:
    return Number(None if math.isnan(value) else float(value))
