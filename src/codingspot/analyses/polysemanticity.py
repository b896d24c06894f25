"""How evenly the scores of a spot's parameters are shared among the domains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import pandas as pd

from codingspot.ablation import matched_control
from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables, stacked
from codingspot.report.rows import at_doses, defined, over
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table
from codingspot.spot import Asked, Spot, measure_shares, shares_by_domain
from codingspot.spot import polysemanticity as entropies_of
from codingspot.tables import analysis_table, domain_kind, k_percent, share, text, whole

_RANDOM_SEEDS: Final = (0, 1, 2)
"""Draws of random parameters that a spot is set beside."""


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    table, shares = run.further.get("polysemanticity"), run.further.get("shares")
    if table is not None and shares is not None:
        yield Section(
            "A spot whose entropy is far below that of random parameters of the same tensors serves few domains.",
            tables=(_table(table, shares, summary),),
        )


def _table(table: pd.DataFrame, shares: pd.DataFrame, summary: RunSummary) -> Table:
    columns = (
        Column("k_percent", "k", "dose"),
        Column("entropy", "Entropy of the spot", "score", has_range=True),
        Column("entropy_random", "Matched random", "score", has_range=True),
        Column("general_percent", "General share, spot", "share"),
        Column("general_percent_random", "General share, random", "share"),
    )
    general = shares[shares["kind"] == "general"].groupby(["spot", "group", "seed", "k_percent"], dropna=False)
    general_share = general["share"].sum().reset_index()
    rows = []
    for spot, k, found in at_doses(summary, table):
        own, random = found[found["group"] == "spot"].iloc[0], found[found["group"] == "random"]
        theirs = general_share[(general_share["spot"] == spot) & (general_share["k_percent"] == k)]
        values = (
            Number(k),
            Number(*(defined(own[quartile]) for quartile in ("q50", "q25", "q75"))),
            over(random["q50"]),
            *(_percent(theirs.loc[theirs["group"] == group, "share"]) for group in ("spot", "random")),
        )
        rows.append(Row(spot, summary.title(spot), "spot", values))
    caption = (
        "Each parameter's score is divided among all scored domains; its entropy is 0 where one domain has all of it "
        "and 1 where all have alike. Spot: median (lower to upper quartile of its parameters). Matched random "
        "parameters: median, with the smallest and largest over seeds. General share: mean part of the score that "
        "comes from general text. A spot far below random parameters serves few domains; one that is like them is as "
        "polysemantic as the rest of its tensors."
    )
    return Table("polysemanticity", "How evenly domains share a parameter", caption, columns, tuple(rows))


def _percent(shares: pd.Series) -> Number:
    mean = shares.mean()
    return Number(None if math.isnan(mean) else 100 * float(mean))


_GROUP = (text("spot"), text("group", "spot", "random"), whole("seed", optional=True), k_percent())


@ANALYSES.register(
    "polysemanticity",
    label="Do the spot's parameters serve one domain or many?",
    traits=AnalysisTraits(
        {
            "polysemanticity": analysis_table(
                *_GROUP,
                *map(whole, ("parameters", "undefined")),
                *map(share, ("mean", "q05", "q25", "q50", "q75", "q95", "q50_low", "q50_high")),
            ),
            "shares": analysis_table(*_GROUP, text("domain"), domain_kind(), share("share")),
        },
        _sections,
        place=50,
        names="spot",
    ),
)
def polysemanticity(given: Given) -> Tables:
    """How evenly the score of a spot's parameters is shared among the domains, beside random parameters.

    One pass over the scores.
    """
    store, sections = given.store, given.study.spots
    if not store.scored or len(store.domains) < 2:
        return {}
    asked = [
        Asked(spot, section.k_percent, seed)
        for section in sections
        for seed, spot in _with_random(given.spots[section.name])
    ]
    measured = iter(measure_shares(store, asked, progress=given.advance))
    entropies, shares = [], []
    for section in sections:
        own = [next(measured) for _ in range(1 + len(_RANDOM_SEEDS))]
        entropies.append(entropies_of(own).assign(spot=section.name))
        shares.append(shares_by_domain(own).assign(spot=section.name))
    return stacked(polysemanticity=entropies, shares=shares)


def _with_random(spot: Spot) -> Iterator[tuple[int | None, Spot]]:
    yield None, spot
    for seed in _RANDOM_SEEDS:
        yield seed, matched_control(spot, seed=seed)
