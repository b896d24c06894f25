"""How far the top k percent depends on choices of scoring that should not matter, and on how much text was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes

from codingspot.analysis_registry import ANALYSES, DOSES_COMPARED, AnalysisTraits, Given, Tables, stacked
from codingspot.importance import ScoreStore, disjoint_draws, estimator_traits, merge, resolve
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import dose
from codingspot.report.plots import BAND_ALPHA, legend_below
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Row, Table, number
from codingspot.report.theme import MARKERS, SPOTS
from codingspot.report.ticks import set_ticks
from codingspot.spot import Variant, agreement, budget_curve
from codingspot.tables import analysis_table, correlation, figure, k_percent, share, text

_AGGREGATIONS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "sum": ("sum", {}),
    "token-weighted": ("sum", {"aggregation": "token-weighted"}),
    "median": ("sum", {"aggregation": "median"}),
    "trimmed mean": ("sum", {"aggregation": "trimmed-mean"}),
}
_BUDGET: Final = "budget"
"""The comparison whose rows are of token budgets; all others are of pairs of choices."""


def _sections(run: Run, _summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    found = run.further.get("agreement")
    if found is None:
        return
    curve, pairs = found[found["comparison"] == _BUDGET], found[found["comparison"] != _BUDGET]
    pictures = (_picture(curve),) if len(curve) and run.plan.spots() else ()
    yield Section("", pictures, (_table(pairs),), title="How many tokens are enough?", place="method")


def _table(pairs: pd.DataFrame) -> Table:
    columns = (
        Column("comparison", "Choice"),
        Column("first", "One"),
        Column("second", "The other"),
        Column("k_percent", "k", "dose"),
        Column("jaccard", "Jaccard", "score"),
        Column("expected_jaccard", "By chance", "score"),
        Column("spearman", "Spearman", "score"),
    )
    rows = zip(*(pairs[column.key].tolist() for column in columns), strict=True) if len(pairs) else ()
    caption = (
        "Jaccard index of the top k percent of both ways of scoring, beside that of random selections of the same "
        "size, and Spearman correlation of their scores over a sample of parameters (the same for every k)."
    )
    shown = tuple(Row("", "", "spot", (*row[:3], *map(number, row[3:]))) for row in rows)
    return Table("agreement", "Agreement between ways of scoring", caption, columns, shown)


def _picture(curve: pd.DataFrame) -> Picture:
    panel = Panel(
        "Agreement between draws of text",
        "Jaccard index of the top k percent between different draws of text, against tokens a domain.",
        partial(_draw, curve=curve),
    )
    # The whole budget is twice the largest with two draws, and agrees better still.
    budget = int(curve["token_budget"].max())
    least = curve.loc[curve["token_budget"] == budget, "jaccard"].min()
    caption = (
        "Jaccard index of the top k% of parameters when scored on different text, by tokens a domain: mean over pairs "
        f"of draws; the band reaches down to the worst pair. Draws of {budget:,} tokens agree to {least:.2f} or better "
        "at every k."
    )
    return Picture("agreement", "How many tokens are enough?", caption, (panel,))


def _draw(axes: Axes, *, curve: pd.DataFrame) -> None:
    """Mean Jaccard index against token budget, one line for each k, with a band down to the worst pair."""
    for index, (k, rows) in enumerate(curve.sort_values("token_budget").groupby("k_percent")):
        colour, budgets = SPOTS[index % len(SPOTS)], rows["token_budget"]
        axes.fill_between(budgets, rows["lowest_jaccard"], rows["jaccard"], alpha=BAND_ALPHA, linewidth=0, color=colour)
        marker, label = MARKERS[index % len(MARKERS)], f"top {dose(float(str(k)))}"
        axes.plot(budgets, rows["jaccard"], color=colour, marker=marker, label=label)
    ticks = sorted(curve["token_budget"].unique().tolist())
    axes.set_xscale("log")
    set_ticks(axes.xaxis, ticks, [f"{budget:,.0f}" for budget in ticks])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("tokens a domain")
    axes.set_ylabel("Jaccard index")
    legend_below(axes, axes.get_lines(), columns=3)


@ANALYSES.register(
    "reductions",
    label="Agreement between ways of scoring",
    traits=AnalysisTraits(
        {
            "agreement": analysis_table(
                text("comparison"),
                *(text(name, optional=True, absent=True) for name in ("first", "second")),
                k_percent(),
                share("jaccard"),
                share("expected_jaccard"),
                correlation("spearman"),
                figure("token_budget", 0, absent=True),
                figure("pairs", 0, absent=True),
                share("lowest_jaccard", absent=True),
            )
        },
        _sections,
        after="scores",
        place=20,
        key=lambda made: [made.asked],
        reductions=True,
        always=True,
    ),
)
def reductions(given: Given) -> Tables:
    """Agreement of the top k percent between the estimator's reductions, and between other choices of scoring.

    Aggregations, normalisations and token budgets are compared in any study of several draws.
    """
    if len(given.draws) < 2:
        return {}
    stores: dict[str, ScoreStore] = {}
    if "reductions" in given.study.analyses:
        scoring = given.study.scoring
        own = str(resolve(scoring.estimator, scoring.parameters)[1].get("reduction", "corpus"))
        others = [name for name in estimator_traits(scoring.estimator, scoring.parameters).reductions if name != own]
        stores = {own: given.draws[0], **{name: given.by_reduction(name) for name in others}}
    return stacked(agreement=list(_agreement(given.draws, stores)))


def _agreement(draws: Sequence[ScoreStore], reductions: Mapping[str, ScoreStore]) -> Iterator[pd.DataFrame]:
    """Tables with columns comparison, first, second, k_percent, jaccard, expected_jaccard, spearman, token_budget."""
    whole = merge(draws)
    comparisons = {
        "reduction": {name: Variant(store) for name, store in reductions.items()},
        "aggregation": {name: Variant(whole, recipe, given) for name, (recipe, given) in _AGGREGATIONS.items()},
        "normalisation": {
            "tokens": Variant(whole.with_normalisation("tokens")),
            "zscore": Variant(whole.with_normalisation("zscore")),
        },
    }
    for comparison, variants in comparisons.items():
        if len(variants) > 1:
            yield agreement(variants, DOSES_COMPARED).assign(comparison=comparison)
    yield budget_curve(disjoint_draws(draws), DOSES_COMPARED).assign(comparison=_BUDGET)
