"""Whether other text finds the same spot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables, stacked
from codingspot.analysis_tables import UNIT_DRAWS
from codingspot.importance import disjoint_draws
from codingspot.report.rows import at_doses, defined
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, Value
from codingspot.spot.reliability import reliability as across_draws
from codingspot.tables import analysis_table, correlation, figure, k_percent, share, text, texts, whole
from codingspot.units import unit_reliability


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    made = {"reliability": _weights, "unit_reliability": _units}
    tables = tuple(table(run.further[stem], summary) for stem, table in made.items() if stem in run.further)
    if tables:
        yield Section(
            "A Jaccard index far above the 95% quantile of chance, and near 1, says that the spot is the model's and "
            "not the sample's.",
            tables=tables,
        )


def _weights(table: pd.DataFrame, summary: RunSummary) -> Table:
    columns = (
        Column("k_percent", "k", "dose"),
        Column("jaccard", "Jaccard of halves", "score"),
        Column("jaccard_draws", "Of smaller draws", "score", has_range=True),
        Column("expected_jaccard", "By chance", "score"),
        Column("chance_jaccard", "Chance, 95%", "score"),
        Column("spearman", "Spearman", "score"),
    )
    rows = []
    for spot, k, here in at_doses(summary, table):
        halves, draws = (here[here["split"] == split].iloc[0] for split in ("halves", "draws"))
        bounds = (float(draws["lowest_jaccard"]), float(draws["highest_jaccard"])) if draws["pairs"] > 1 else ()
        values = (
            Number(k),
            Number(float(halves["jaccard"])),
            Number(float(draws["jaccard"]), *bounds),
            *(Number(defined(halves[name])) for name in ("expected_jaccard", "chance_jaccard", "spearman")),
        )
        rows.append(Row(spot, summary.title(spot), "spot", values))
    caption = (
        "The same recipe on scores from two halves of the text that share none: Jaccard index of the spots, with the "
        "expectation and the 0.95 quantile for random selections (hypergeometric), and Spearman correlation of the "
        "whole order. Of smaller draws: the same between draws of a part of the text each, as other seeds would give, "
        "mean over pairs (smallest to largest). A spot that another sample of text would not find again says more on "
        "the sample than on the model. The scores that the spot was found in are of both halves, and more reliable "
        "than either."
    )
    return Table("reliability", "Reliability across halves of the text", caption, columns, tuple(rows))


def _units(table: pd.DataFrame, summary: RunSummary) -> Table:
    columns = (
        Column("k_percent", "k", "dose"),
        Column("unit", "Unit"),
        Column("units", "Units", "count"),
        Column("jaccard", "Jaccard of halves", "score"),
        Column("jaccard_draws", "Of smaller draws", "score", has_range=True),
        Column("expected_jaccard", "By chance", "score"),
        Column("chance_jaccard", "Chance, 95%", "score"),
        Column("p_value", "p", "p_value"),
        Column("p_value_draws", "p of draws, largest", "p_value"),
    )
    caption = (
        "The same recipe on disjoint draws of the text, read in the same pass: Jaccard index of the whole units that "
        "two draws select, with the expectation and the 0.95 quantile for random selections of as many "
        "(hypergeometric). Halves: the two largest parts that draws make together; smaller draws: the draws one by "
        "one, mean over pairs (smallest to largest). p: probability by chance of an overlap as large as that of the "
        "halves, and the largest of any pair of draws. What was edited was found in all of the text, and is more "
        "reliable than either."
    )
    rows = [Row(spot, summary.title(spot), "spot", _unit_values(here)) for spot, _, here in at_doses(summary, table)]
    return Table("unit_reliability", "Whole units that other text finds", caption, columns, tuple(rows))


def _unit_values(here: pd.DataFrame) -> tuple[Value, ...]:
    halves = here[here["split"] == "halves"].iloc[0]
    draws = here[here["split"] == "draws"]
    among = draws["jaccard"]
    bounds = (float(among.min()), float(among.max())) if len(among) > 1 else (None, None)
    k, units, jaccard, expected, chance, p_value = (
        Number(float(halves[name]))
        for name in ("k_percent", "units", "jaccard", "expected_jaccard", "chance_jaccard", "p_value")
    )
    smaller, largest_p = Number(float(among.mean()), *bounds), Number(float(draws["p_value"].max()))
    return k, str(halves["unit"]), units, jaccard, smaller, expected, chance, p_value, largest_p


@ANALYSES.register(
    "reliability",
    label="Would other text find the same spot?",
    traits=AnalysisTraits(
        {
            "reliability": analysis_table(
                *texts("spot", "split"),
                k_percent(),
                *map(whole, ("parameters", "pairs")),
                *map(share, ("jaccard", "lowest_jaccard", "highest_jaccard", "expected_jaccard", "chance_jaccard")),
                *map(correlation, ("spearman", "lowest_spearman")),
            ),
            "unit_reliability": analysis_table(
                text("spot"),
                text("split", "halves", "draws"),
                *map(whole, ("first", "second")),
                text("unit"),
                k_percent(),
                *map(whole, ("units", "other_units", "common")),
                figure("expected", 0),
                *map(share, ("jaccard", "expected_jaccard", "chance_jaccard", "p_value")),
            ),
        },
        _sections,
        place=60,
        names="spot",
    ),
)
def reliability(given: Given) -> Tables:
    """How far each spot is found again in other text: across halves, and across draws such as other seeds would give.

    Two of the largest budget that the draws make are the halves; from one draw, nothing is said of spots of weights.
    Trained spots would have to be trained again, and are left out.
    """
    budgets = disjoint_draws(given.draws)
    splits = {"halves": budgets[max(budgets)][:2], "draws": budgets[min(budgets)]} if budgets else {}
    weights = [
        across_draws(
            stores, section.k_percent, recipe=section.recipe, scope=section.scope, parameters=section.parameters
        ).assign(spot=section.name, split=split)
        for section in given.study.spots
        if section.traits.from_scores
        for split, stores in splits.items()
    ]
    drawn = [(section, given.saved(f"{UNIT_DRAWS}{section.name}")) for section in given.study.spots]
    units = [
        unit_reliability(given.spots[section.name], table, section.k_percent).assign(spot=section.name)
        for section, table in drawn
        if table is not None
    ]
    return stacked(reliability=weights, unit_reliability=units)
