"""The table of the onset, and of the dose chosen by rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from codingspot.evaluation.doses import crossing, crossing_interval
from codingspot.evaluation.metrics import KEPT, LEAST_MARGIN, ONSET_RATE
from codingspot.report.run_files import Run
from codingspot.report.summary import RunSummary, resample
from codingspot.report.table import Column, Number, Row, Table, Value
from codingspot.study.cells import Asked

Holds = NDArray[np.bool_]

_NOTHING = Number(None)
_UNDEFINED_ONSET: tuple[Value, ...] = (_NOTHING, "not defined", _NOTHING, _NOTHING)
_UNDEFINED_KEPT: tuple[Value, ...] = ("not defined", _NOTHING, _NOTHING, _NOTHING)


def doses(run: Run, summary: RunSummary) -> Table:
    """The onset k* and k chosen by rule: the largest dose before general retention first falls below 0.95."""
    columns = (
        Column("doses", "Doses", "count"),
        Column("onset_after", "Not yet at", "dose", "Onset"),
        Column("onset", "k*", "dose", "Onset"),
        Column("onset_low", "95%: from", "dose", "Onset"),
        Column("onset_high", "to", "dose", "Onset"),
        Column("kept", "k by rule", "dose", "General kept"),
        Column("kept_before", "No longer at", "dose", "General kept"),
        Column("kept_low", "95%: from", "dose", "General kept"),
        Column("kept_high", "to", "dose", "General kept"),
    )
    rows = []
    resampled, metrics = _resampled(run, summary), summary.original.metrics
    for spot in summary.plan.spots():
        cells = [cell for cell in summary.refined(spot) if cell.asked is not Asked.DOSE]
        ks = [cell.cell.k_percent for cell in cells]
        names = [cell.cell.name for cell in cells]
        onset_range, kept_range = (
            (None, None) if holds is None else crossing_interval(ks, holds(names)) for holds in resampled
        )
        onset, kept = _UNDEFINED_ONSET, _UNDEFINED_KEPT
        if metrics.code_gone is not None:
            gone = crossing(ks, [bool(cell.metrics.code_gone) for cell in cells])
            onset = tuple(map(Number, (gone.before, gone.past, *onset_range)))
        if metrics.general_lost is not None:
            lost = crossing(ks, [bool(cell.metrics.general_lost) for cell in cells])
            kept = tuple(map(Number, (lost.before, lost.past, *kept_range)))
        rows.append(Row(spot, summary.title(spot), "spot", (Number(float(len(ks))), *onset, *kept)))
    caption = (
        f"Onset k*: the smallest evaluated dose with pass@1 below {100 * ONSET_RATE:g}%, with the largest dose before "
        "it, between which the crossing lies. k by rule: the largest dose up to which general retention stays at "
        f"least {KEPT:g}, with the first at which it doesn't. 95%: doses between which the crossing lies in 95% of the "
        "bootstrap resamples of the items (0: below the smallest dose; ∞: past the largest). A dash: it was not "
        "reached, or not left."
    )
    undefined = [
        kind for kind, known in (("code", metrics.code_gone), ("general", metrics.general_lost)) if known is None
    ]
    if undefined:
        caption += (
            f" Not defined: the original model is less than {LEAST_MARGIN:g} above chance on every task of the kind, "
            f"or there is none ({' and '.join(undefined)} tasks)."
        )
    return Table("doses", "Onset, and the dose chosen by rule", caption, columns, tuple(rows))


def _resampled(run: Run, summary: RunSummary) -> tuple[Callable[[list[str]], Holds] | None, ...]:
    """For cells by name, whether code is gone, and general ability not kept, in each resample [cells, resamples]."""
    different = run.stopped is not None or summary.is_partial
    if different or not summary.plan.tasks:  # cells have different items
        return None, None
    resampling = resample(summary.plan, run.results.outcomes)
    code, general = ([task.name for task in summary.plan.with_role(role)] for role in ("code", "general"))
    rates, kept = resampling.rates(code), resampling.retentions(general)
    places = {cell: place for place, cell in enumerate(resampling.cells)}

    def gone(names: list[str]) -> Holds:
        assert rates is not None
        return np.asarray(rates.drawn[[places[name] for name in names]] < ONSET_RATE)

    def not_kept(names: list[str]) -> Holds:
        assert kept is not None
        return np.asarray(kept.drawn[[places[name] for name in names]] < KEPT)

    return (gone if rates is not None else None), (not_kept if kept is not None else None)
