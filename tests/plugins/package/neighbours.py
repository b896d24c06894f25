"""An analysis in one file: what it computes, its table, and its part of a report."""

import pandas as pd

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, stacked
from codingspot.report.drawing import Panel, Picture
from codingspot.report.rows import at_doses
from codingspot.report.section import Section
from codingspot.report.table import Column, Number, Row, Table
from codingspot.tables import analysis_table, k_percent, share, text


def _sections(run, summary, _findings):
    if "neighbours" not in run.further:
        return
    found = run.further["neighbours"]
    rows = tuple(
        Row(spot, summary.title(spot), "spot", (Number(k), Number(float(rows["share"].iloc[0]))))
        for spot, k, rows in at_doses(summary, found)
    )
    columns = (Column("k_percent", "k", "dose"), Column("share", "With a neighbour", "score"))
    panel = Panel(
        "by dose", "Share with a neighbour, by dose.", lambda axes: axes.plot(found["k_percent"], found["share"])
    )
    yield Section(
        f"Of the largest spots, {found['share'].max():.0%} of the parameters or fewer stand beside another.",
        (Picture("neighbours", "Parameters side by side", "By dose.", (panel,)),),
        (Table("neighbours", "Parameters side by side", "", columns, rows),),
    )


@ANALYSES.register(
    "neighbours",
    label="Do a spot's parameters stand side by side?",
    traits=AnalysisTraits(
        {"neighbours": analysis_table(text("spot"), k_percent(), share("share"))}, _sections, names="spot"
    ),
)
def neighbours(given):
    """How many of a spot's parameters stand beside another of it."""
    parts = []
    for section in given.study.spots:
        tops = {k: given.spots[section.name].top(k).positions.sort().values for k in section.k_percent}
        shares = [float(((at[1:] - at[:-1]) == 1).double().mean()) for at in tops.values()]
        parts.append(pd.DataFrame({"spot": section.name, "k_percent": list(tops), "share": shares}))
    return stacked(neighbours=parts)
