"""Tables on where scores lie: what domains share, how evenly a spot serves them, and whether other text finds it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from codingspot.report.labels import domain_label, dose, scope_label
from codingspot.report.run_files import Run
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, Value

_SHOWN_K = 0.25
"""Overlap by module is shown at the dose nearest to this."""


def overlap(run: Run) -> Table:
    """How far domains' spots coincide, pooled: a language with itself, two languages, a language and general text."""
    rows = list(_overlap_rows(run)) if "overlap" in run.further else []
    columns = (
        Column("pair", "Pair"),
        Column("k_percent", "k", "dose"),
        Column("jaccard", "Jaccard", "score", has_range=True),
        Column("split_jaccard", "Across halves", "score", has_range=True),
        Column("expected_jaccard", "By chance", "score"),
        Column("chance_jaccard", "Chance, 95%", "score"),
    )
    caption = (
        "Jaccard index of the parameters that two domains need most by their own scores: mean over pairs (smallest to "
        "largest). Across halves: the spot of one in one half of the text beside that of the other in the other half, "
        "so that a language with itself shows what another sample of text alone leaves of one region. Languages whose "
        "index across halves is near that share one region; those near chance have regions of their own. By chance: "
        "expectation and 0.95 quantile for random selections of the same size (hypergeometric)."
    )
    return Table("overlap", "Regions of the languages", caption, columns, tuple(rows))


def overlap_by_module(run: Run) -> Table:
    """Where the spot of all languages and that of general text coincide, by kind of module."""
    table = run.further.get("overlap_tensors")
    columns = (
        Column("module", "Module"),
        Column("second", "With"),
        Column("parameters", "Parameters", "count"),
        Column("first_selected", "Code", "count"),
        Column("second_selected", "General", "count"),
        Column("common", "Both", "count"),
        Column("expected", "By chance", "score"),
        Column("times", "Times chance", "ratio"),
    )
    rows, shown = [], 0.0
    if table is not None and len(table):
        shown = min(table["k_percent"].unique(), key=lambda k: abs(math.log(k / _SHOWN_K)))
        sums = ["parameters", "first_selected", "second_selected", "common", "expected"]
        pooled = table[table["k_percent"] == shown].groupby(["scope", "second", "kind"], sort=False)[sums].sum()
        for row in pooled.reset_index().to_dict("records"):
            heading = f"Scope {row['scope']} ({scope_label(row['scope'])})"
            times = row["common"] / row["expected"] if row["expected"] else None
            numbers = (*(Number(float(row[name])) for name in sums), Number(times))
            rows.append(Row(row["scope"], heading, "spot", (row["kind"], domain_label(row["second"]), *numbers)))
    caption = (
        f"The top {dose(shown)} for all languages together (sum of their scores) and for general text, counted by kind "
        "of module. By chance: what as many parameters drawn at random in each tensor would share. Far more than "
        "chance: code and general text need the same parameters there."
    )
    return Table("overlap_by_module", "Code and general text, module by module", caption, columns, tuple(rows))


def polysemanticity(run: Run, summary: RunSummary) -> Table:
    """How evenly the score of a spot's parameters is shared among the domains, beside random parameters."""
    table, shares = run.further.get("polysemanticity"), run.further.get("shares")
    rows = []
    if table is not None and shares is not None:
        general = shares[shares["kind"] == "general"].groupby(["spot", "group", "seed", "k_percent"], dropna=False)
        general_share = general["share"].sum().reset_index()
        for spot, k in _spots_and_doses(summary, table):
            own, random = _group(table, spot, k, "spot"), _group(table, spot, k, "random")
            one = own.iloc[0]
            values = (
                Number(k),
                Number(_defined(one["q50"]), _defined(one["q25"]), _defined(one["q75"])),
                _over_seeds(random["q50"]),
                _percent(_group(general_share, spot, k, "spot")["share"]),
                _percent(_group(general_share, spot, k, "random")["share"]),
            )
            rows.append(Row(spot, summary.title(spot), "spot", values))
    columns = (
        Column("k_percent", "k", "dose"),
        Column("entropy", "Entropy of the spot", "score", has_range=True),
        Column("entropy_random", "Matched random", "score", has_range=True),
        Column("general_percent", "General share, spot", "share"),
        Column("general_percent_random", "General share, random", "share"),
    )
    caption = (
        "Each parameter's score is divided among all scored domains; its entropy is 0 where one domain has all of it "
        "and 1 where all have alike. Spot: median (lower to upper quartile of its parameters). Matched random "
        "parameters: median, with the smallest and largest over seeds. General share: mean part of the score that "
        "comes from general text. A spot far below random parameters serves few domains; one that is like them is as "
        "polysemantic as the rest of its tensors."
    )
    return Table("polysemanticity", "How evenly domains share a parameter", caption, columns, tuple(rows))


def reliability(run: Run, summary: RunSummary) -> Table:
    """Whether the other half of the text finds the same spot."""
    table = run.further.get("reliability")
    rows = []
    if table is not None:
        for spot, k in _spots_and_doses(summary, table):
            here = table[(table["spot"] == spot) & (table["k_percent"] == k)]
            halves, draws = (here[here["split"] == split].iloc[0] for split in ("halves", "draws"))
            bounds = (float(draws["lowest_jaccard"]), float(draws["highest_jaccard"])) if draws["pairs"] > 1 else ()
            values = (
                Number(k),
                Number(float(halves["jaccard"])),
                Number(float(draws["jaccard"]), *bounds),
                *(Number(_defined(halves[name])) for name in ("expected_jaccard", "chance_jaccard", "spearman")),
            )
            rows.append(Row(spot, summary.title(spot), "spot", values))
    columns = (
        Column("k_percent", "k", "dose"),
        Column("jaccard", "Jaccard of halves", "score"),
        Column("jaccard_draws", "Of smaller draws", "score", has_range=True),
        Column("expected_jaccard", "By chance", "score"),
        Column("chance_jaccard", "Chance, 95%", "score"),
        Column("spearman", "Spearman", "score"),
    )
    caption = (
        "The same recipe on scores from two halves of the text that share none: Jaccard index of the spots, with the "
        "expectation and the 0.95 quantile for random selections (hypergeometric), and Spearman correlation of the "
        "whole order. Of smaller draws: the same between draws of a part of the text each, as other seeds would give, "
        "mean over pairs (smallest to largest). A spot that another sample of text would not find again says more on "
        "the sample than on the model. The scores that the spot was found in are of both halves, and more reliable "
        "than either."
    )
    return Table("reliability", "Reliability across halves of the text", caption, columns, tuple(rows))


def _overlap_rows(run: Run) -> Iterator[Row]:
    table = run.further["overlap"]
    general = {domain.name for domain in run.plan.domains if domain.kind == "general"}
    first, second = table["first"].isin(general), table["second"].isin(general)
    kinds = {
        "A language with itself": (table["first"] == table["second"]) & ~first,
        "Two languages": (table["first"] != table["second"]) & ~first & ~second,
        "A language and general text": first ^ second,
    }
    for scope in table["scope"].unique():
        heading = f"Scope {scope} ({scope_label(scope)})"
        for k in sorted(table["k_percent"].unique()):
            here = (table["scope"] == scope) & (table["k_percent"] == k)
            for kind, chosen in kinds.items():
                rows = table[chosen & here]
                if not len(rows):
                    continue
                split = rows["split_jaccard"] if "split_jaccard" in rows else pd.Series(dtype=float)
                values: tuple[Value, ...] = (
                    kind,
                    Number(float(k)),
                    _over_seeds(rows["jaccard"].dropna()),
                    _over_seeds(split),
                    *(_over_seeds(table[here][name].dropna()) for name in ("expected_jaccard", "chance_jaccard")),
                )
                yield Row(str(scope), heading, "spot", values)


def _spots_and_doses(summary: RunSummary, table: pd.DataFrame) -> Iterator[tuple[str, float]]:
    known = set(zip(table["spot"], table["k_percent"], strict=True))
    for spot in summary.plan.spots():
        yield from ((spot, k) for k in summary.doses(spot) if (spot, k) in known)


def _group(table: pd.DataFrame, spot: str, k: float, group: str) -> pd.DataFrame:
    return table[(table["spot"] == spot) & (table["k_percent"] == k) & (table["group"] == group)]


def _over_seeds(values: pd.Series) -> Number:
    """Mean, with the smallest and largest where there are several."""
    if not len(values):
        return Number(None)
    spread = (float(values.min()), float(values.max())) if len(values) > 1 else (None, None)
    return Number(float(values.mean()), *spread)


def _percent(shares: pd.Series) -> Number:
    mean = shares.mean()
    return Number(None if math.isnan(mean) else 100 * float(mean))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
