"""Whether a spot takes more of code than its controls do: over the whole curve, and item by item."""

from __future__ import annotations

from collections.abc import Iterator

from codingspot.evaluation.area import Area, specificity_areas
from codingspot.evaluation.paired import compare_cells
from codingspot.report.labels import control_label, join_words, task_label
from codingspot.report.run_files import Run
from codingspot.report.specificity import matched_controls
from codingspot.report.summary import RunSummary, resample
from codingspot.report.table import Column, Number, Role, Row, Table, Value
from codingspot.study.cells import ORIGINAL, Control

Curve = tuple[str, Control | None, int | None]
"""A spot, or one draw of one of its controls."""


def areas(run: Run, summary: RunSummary) -> Table:
    """The area of the specificity curve of every spot and of its controls."""
    rows = []
    found = _areas(run, summary)
    for spot in summary.plan.spots():
        mine = found.get((spot, None, None))
        if mine is None:
            continue
        heading = summary.title(spot)
        rows.append(_area_row(spot, heading, "spot", "Spot", Number(mine.value, *mine.interval)))
        for control in summary.controls(spot):
            values = [area.value for curve, area in found.items() if curve[:2] == (spot, control)]
            if not values:
                continue
            spread = (min(values), max(values)) if len(values) > 1 else (None, None)
            mean = Number(sum(values) / len(values), *spread)
            rows.append(_area_row(spot, heading, "control", control_label(control).capitalize(), mean))
    caption = (
        "Area of the curve of code against general retention over all doses: the integral, over general retention g "
        "from 0 to 1, of 1 minus the least code retention reached by a dose that keeps at least g. 1: some dose takes "
        "all code and nothing else; 0: none takes any code; 0.5: many doses, each taking both alike. In brackets for a "
        "spot its 95% bootstrap interval over items; for random controls the smallest and largest over draws."
    )
    columns = (Column("edited", "Edited"), Column("area", "Area", "score", has_range=True))
    return Table("areas", "Specificity areas", caption, columns, tuple(rows))


def paired_tests(run: Run, summary: RunSummary) -> Table:
    """Every spot at every dose against the original model and against each draw of its matched controls.

    Of several draws of a control, the one whose test is least significant is shown.
    """
    code = [task.name for task in summary.plan.with_role("code")]
    pairs = list(_pairs(summary)) if code else []
    partial = run.stopped is not None or summary.is_partial
    tests = compare_cells(run.results.outcomes, [(spot, other) for *_, spot, other in pairs], code, partial=partial)
    rows: dict[tuple[str, float, str], Row] = {}
    worst: dict[tuple[str, float, str], float] = {}
    for (spot, k, against, _, _), test in zip(pairs, tests.to_dict("records"), strict=True):
        key = spot, k, against
        if key in worst and worst[key] >= test["p_value"]:
            continue
        worst[key] = test["p_value"]
        figures = ("first_only", "second_only", "items", "p_value", "corrected")
        shown: tuple[Value, ...] = (against, Number(k), *(Number(float(test[figure])) for figure in figures))
        rows[key] = Row(spot, summary.title(spot), "spot", shown)
    caption = (
        f"McNemar's exact test on the items of {join_words([task_label(name) for name in code])}: problems solved by "
        "the model with the spot edited alone, and by the other model alone. Corrected: by Holm's method for all "
        f"{len(pairs)} comparisons of this table, each draw of a control counted. Of several draws the least "
        "significant is shown."
    )
    columns = (
        Column("against", "Spot against"),
        Column("k_percent", "k", "dose"),
        Column("spot_only", "Spot alone", "count"),
        Column("other_only", "Other alone", "count"),
        Column("items", "Items", "count"),
        Column("p_value", "p", "p_value"),
        Column("corrected", "Corrected", "p_value"),
    )
    return Table("paired_tests", "Paired tests on code", caption, columns, tuple(rows.values()))


def _areas(run: Run, summary: RunSummary) -> dict[Curve, Area]:
    if summary.original.metrics.code_retention is None or summary.original.metrics.general_retention is None:
        return {}
    if run.stopped is not None:  # cells have different items, and a curve is resampled over those it shares
        return {}
    curves: dict[Curve, list[str]] = {}
    for cell in summary.plan.cells:
        if cell.spot is not None and cell.purpose == "dose":
            curves.setdefault((cell.spot, cell.control, cell.seed), [ORIGINAL]).append(cell.name)
    # A control of one dose has no curve to set beside the spot's.
    doses = {spot: len(summary.doses(spot)) for spot in summary.plan.spots()}
    curves = {curve: cells for curve, cells in curves.items() if len(cells) == doses[curve[0]] + 1}
    curves = {curve: cells for curve, cells in curves.items() if run.asked.keys().isdisjoint(cells)}
    named = {str(number): cells for number, cells in enumerate(curves.values())}
    code, general = ([task.name for task in summary.plan.with_role(role)] for role in ("code", "general"))
    found = specificity_areas(resample(summary.plan, run.in_full), named, code=code, general=general)
    return dict(zip(curves, found.values(), strict=True))


def _area_row(spot: str, heading: str, role: Role, edited: str, area: Number) -> Row:
    return Row(spot, heading, role, (edited, area))


def _pairs(summary: RunSummary) -> Iterator[tuple[str, float, str, str, str]]:
    """Spot, dose, what it is set against, and the names of both cells."""
    for spot in summary.plan.spots():
        for k in summary.doses(spot):
            mine = summary.at(spot, None, k)[0]
            if mine.asked.asks_nothing:
                continue
            cell = mine.cell.name
            yield spot, k, "Original model", cell, ORIGINAL
            for control in matched_controls(summary, spot):
                for drawn in (other for other in summary.at(spot, control, k) if not other.asked.asks_nothing):
                    yield spot, k, control_label(control).capitalize(), cell, drawn.cell.name
