"""What scores predict, to first order, of what an edit does to the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from codingspot.ablation import EDITS
from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables, stacked
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import domain_label
from codingspot.report.rows import cell_row, edited
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Table, Value, mean
from codingspot.report.theme import CODE, GENERAL, MUTED
from codingspot.report.ticks import symmetric_axes
from codingspot.spot import Scaled, predicted_changes
from codingspot.study.cells import ORIGINAL, Cell
from codingspot.tables import analysis_table, domain_kind, number, texts, whole


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    predicted = run.further.get("prediction")
    if predicted is None:
        return
    joined = predicted.merge(
        loss_changes(run.results.losses, ORIGINAL, seed=run.plan.bootstrap_seed), on=["cell", "domain"]
    )
    finite = joined[np.isfinite(joined["change"].astype(float))]
    yield Section(
        "Scores are first-order terms; where actual changes of loss leave the dotted line, the ranking rests on more "
        "than they say.",
        (_picture(finite),) if len(finite) and run.plan.spots() else (),
        (_table(joined, finite, summary),),
    )


def _table(joined: pd.DataFrame, finite: pd.DataFrame, summary: RunSummary) -> Table:
    """Predicted (first order) against actual change of loss, for code and each general domain."""
    names = [None, *(d.name for d in summary.plan.domains if d.kind == "general")]
    columns = [Column("edited", "Edited"), Column("k_percent", "k", "dose")]
    for name in names:
        key, heading = name or "code", domain_label(name) if name else "Code"
        columns.append(Column(f"predicted_{key}", "Predicted", "nats", heading))
        columns.append(Column(f"actual_{key}", "Actual", "nats", heading, has_range=True))
    rows = []
    for cell in summary.cells:
        found = joined[joined["cell"] == cell.cell.name]
        if len(found):
            code = found[found["kind"] == "code"]
            parts = [code if name is None else found[found["domain"] == name] for name in names]
            values: list[Value] = [*edited(cell)]
            for part in parts:
                values += [Number(mean(part["predicted"])), _change(part)]
            rows.append(cell_row(summary, cell, *values))
    caption = (
        "Change of the loss, nats a token: predicted as the sum of minus theta * dL/dtheta over the parameters edited "
        "(signed), and actual on held-out text; code is the mean over the scored languages, with the smallest and "
        "largest, a general domain has its 95% interval. Scores measure a first-order effect: where actual changes are "
        f"far from predicted ones, the dose is beyond what the scores speak of.{_rank_agreement(finite)}"
    )
    return Table("prediction", "Predicted and actual change of loss", caption, tuple(columns), tuple(rows))


def _change(part: pd.DataFrame) -> Number:
    if len(part) == 1:
        return Number(*(float(part.iloc[0][name]) for name in ("change", "low", "high")))
    return Number(mean(part["change"]), float(part["change"].min()), float(part["change"].max()))


def _rank_agreement(finite: pd.DataFrame) -> str:
    if len(finite) < 3:
        return ""
    correlation = float(spearmanr(finite["predicted"], finite["change"]).statistic)
    return f" Spearman correlation over all cells and domains: {correlation:.2f}."


def _picture(finite: pd.DataFrame) -> Picture:
    panel = Panel(
        "Predicted and actual change of loss",
        "Actual against predicted change of loss, a point for each cell and domain.",
        partial(_draw, joined=finite),
        size=(4.4, 3.8),
    )
    caption = (
        "One point a cell and scored domain; on the dotted line first order says it all. Points far above it: the edit "
        "does what scores of first order can't see."
    )
    return Picture("prediction", "Predicted and actual change of loss", caption, (panel,))


def _draw(axes: Axes, *, joined: pd.DataFrame) -> None:
    least = float(min(joined["predicted"].abs().max(), joined["change"].abs().max())) / 100 or 1e-3
    both = [*joined["predicted"].astype(float), *joined["change"].astype(float)]
    ends = [min(both) * 1.2, max(both) * 1.2]
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    for kind, colour, marker in (("code", CODE, "o"), ("general", GENERAL, "s")):
        rows = joined[joined["kind"] == kind]
        style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": ""}
        axes.plot(rows["predicted"], rows["change"], markersize=3, alpha=0.6, **style)
        axes.plot([], [], label=kind, **style)
    symmetric_axes(axes, least=least)
    axes.set_xlabel("predicted, nats a token")
    axes.set_ylabel("actual, nats a token")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, borderaxespad=0)


@ANALYSES.register(
    "prediction",
    label="Do the scores predict what the edit does?",
    traits=AnalysisTraits(
        {
            "prediction": analysis_table(
                *texts("cell", "domain"), domain_kind(), whole("parameters"), number("predicted")
            )
        },
        _sections,
        place=80,
        key=lambda made: [made.asked, made.spots, made.edits],
        names="cell",
    ),
)
def prediction(given: Given) -> Tables:
    """The change of loss that first order predicts of each cell of the grid whose edit multiplies weights.

    One row a cell and scored domain, where scores are first-order terms; one pass over the scores.
    """
    store = given.store
    if not store.traits.first_order:
        return {}
    factors = {s.name: EDITS.traits(s.edit, s.edit_parameters).factor for s in given.study.spots}
    by_source: dict[str, list[Cell]] = {}
    for cell in given.cells:
        if cell.spot is not None and cell.purpose == "dose" and factors[cell.spot] is not None:
            by_source.setdefault(cell.source, []).append(cell)
    doses = [{100 * cell.parameters / store.layout.total: cell.name for cell in group} for group in by_source.values()]
    scaled = [
        Scaled(given.spots[name], tuple(own), factors[str(group[0].spot)] or 0.0)
        for (name, group), own in zip(by_source.items(), doses, strict=True)
    ]
    predicted = predicted_changes(store, scaled, progress=given.advance)
    return stacked(
        prediction=[
            table.assign(cell=table["k_percent"].map(own)).drop(columns="k_percent")
            for table, own in zip(predicted, doses, strict=True)
        ]
    )
