"""The table of how far other text finds the same whole units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from codingspot.report.run_files import Run
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, Value

_CAPTION: Final = (
    "The same recipe on disjoint draws of the text, read in the same pass: Jaccard index of the whole units that two "
    "draws select, with the expectation and the 0.95 quantile for random selections of as many (hypergeometric). "
    "Halves: the two largest parts that draws make together; smaller draws: the draws one by one, mean over pairs "
    "(smallest to largest). p: probability by chance of an overlap as large as that of the halves, and the largest of "
    "any pair of draws. What was edited was found in all of the text, and is more reliable than either."
)


def unit_reliability(run: Run, summary: RunSummary) -> Table:
    """Whether another part of the text finds the same whole units."""
    table = run.further.get("unit_reliability")
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
    rows = [] if table is None else list(_rows(summary, table))
    return Table("unit_reliability", "Whole units that other text finds", _CAPTION, columns, tuple(rows))


def _rows(summary: RunSummary, table: pd.DataFrame) -> Iterator[Row]:
    for spot in summary.plan.spots():
        for k in summary.doses(spot):
            here = table[(table["spot"] == spot) & (table["k_percent"] == k)]
            if len(here):
                yield Row(spot, summary.title(spot), "spot", _values(here))


def _values(here: pd.DataFrame) -> tuple[Value, ...]:
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
