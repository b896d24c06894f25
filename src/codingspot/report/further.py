"""Tables on what else cells say: onset and the dose chosen by rule, sufficiency, first order, sequential evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from codingspot.evaluation.doses import crossing, crossing_interval
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.evaluation.metrics import KEPT, LEAST_MARGIN, ONSET_RATE
from codingspot.report.labels import control_label, domain_label, scope_label, task_label
from codingspot.report.run_files import Run
from codingspot.report.summary import CellSummary, RunSummary, resample
from codingspot.report.table import Column, Number, Row, Table, Value, mean
from codingspot.study.cells import ORIGINAL, Asked

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


def sufficiency(summary: RunSummary) -> Table:
    """What is left where everything but a spot and a base set is zeroed."""
    columns = (
        Column("kept", "Kept beside the base set"),
        Column("k_percent", "k", "dose"),
        Column("code", "pass@1", "score"),
        Column("code_retention", "Code retention", "retention", has_range=True),
        Column("general_retention", "General retention", "retention", has_range=True),
        *(
            Column(f"perplexity_ratio_{domain.name}", f"{domain_label(domain.name)} ppl. ratio", "ratio")
            for domain in summary.plan.domains
            if domain.held_out or domain.kind == "general"
        ),
    )
    rows = []
    for spot in summary.plan.spots():
        for control in (None, *summary.controls(spot)):
            rows += [_sufficiency_row(summary, spot, cell) for cell in summary.kept_alone(spot, control)]
    caption = (
        "Sufficiency: every weight is zeroed but the base set, which is the same in all rows, and the top k% of the "
        "spot or, in its place, as many parameters of a control. A spot that suffices brings back code, and code more "
        "than general ability, where the base alone and the controls don't. 95% intervals over items."
    )
    return Table("sufficiency", "What a spot alone brings back", caption, columns, tuple(rows))


def prediction(run: Run, summary: RunSummary) -> Table:
    """Predicted (first order) against actual change of loss, for code and each general domain."""
    joined = predicted_and_actual(run)
    names = [None, *(d.name for d in summary.plan.domains if d.kind == "general")]
    columns = (
        Column("edited", "Edited"),
        Column("k_percent", "k", "dose"),
        *(
            column
            for name in names
            for column in (
                Column(f"predicted_{name or 'code'}", "Predicted", "nats", domain_label(name) if name else "Code"),
                Column(
                    f"actual_{name or 'code'}", "Actual", "nats", domain_label(name) if name else "Code", has_range=True
                ),
            )
        ),
    )
    rows = []
    for cell in summary.cells:
        found = joined[joined["cell"] == cell.cell.name]
        if len(found):
            code = found[found["kind"] == "code"]
            parts = [code if name is None else found[found["domain"] == name] for name in names]
            values: list[Value] = [control_label(cell.cell.control).capitalize(), Number(cell.cell.k_percent)]
            for part in parts:
                values += [Number(mean(part["predicted"])), _change(part)]
            spot = str(cell.cell.spot)
            rows.append(Row(spot, summary.title(spot), "control" if cell.cell.control else "spot", tuple(values)))
    caption = (
        "Change of the loss, nats a token: predicted as the sum of minus theta * dL/dtheta over the parameters edited "
        "(signed), and actual on held-out text; code is the mean over the scored languages, with the smallest and "
        "largest, a general domain has its 95% interval. Scores measure a first-order effect: where actual changes are "
        f"far from predicted ones, the dose is beyond what the scores speak of.{_rank_agreement(joined)}"
    )
    return Table("prediction", "Predicted and actual change of loss", caption, columns, tuple(rows))


def predicted_and_actual(run: Run) -> pd.DataFrame:
    """One row a cell and scored domain: ``predicted``, ``change``, ``low``, ``high``; none without predictions."""
    predicted = run.further.get("prediction")
    if predicted is None:
        return pd.DataFrame(columns=["cell", "domain", "kind", "predicted", "change", "low", "high"])
    actual = loss_changes(run.results.losses, ORIGINAL, seed=run.plan.bootstrap_seed)
    return predicted.merge(actual, on=["cell", "domain"])


def sequential(run: Run, summary: RunSummary) -> Table:
    """How many items each cell took, and the intervals at which it stopped."""
    table = run.further.get("sequential")
    columns = (
        Column("edited", "Edited"),
        Column("k_percent", "k", "dose"),
        *(
            column
            for kind in ("code", "general")
            for column in (
                Column(f"{kind}_items", "Items", "count", kind.capitalize()),
                Column(f"{kind}_retention", "Retention", "retention", kind.capitalize(), has_range=True),
            )
        ),
    )
    rows, used, available = [], 0, 0
    if table is not None:
        used, available = int(table["items"].sum()), int(table["available"].sum())
        for cell in summary.cells:
            own = table[table["cell"] == cell.cell.name].set_index("question")
            if not len(own):
                continue
            values: list[Value] = [_edited(cell), Number(cell.cell.k_percent)]
            for kind, value in (("code", cell.metrics.code_retention), ("general", cell.metrics.general_retention)):
                if kind not in own.index:
                    values += [Number(None), Number(None)]
                    continue
                items, low, high = (float(own[column].to_dict()[kind]) for column in ("items", "low", "high"))
                bounds = (None, None) if math.isnan(low) else (low, high)
                values += [Number(items), Number(value, *bounds)]
            spot = str(cell.cell.spot)
            rows.append(Row(spot, summary.title(spot), "control" if cell.cell.control else "spot", tuple(values)))
    times = f"{available / used:.1f} times fewer" if used else ""
    saved = f" In all {used:,} of {available:,} items were evaluated, {times}." if used else ""
    caption = (
        "Each cell was evaluated item by item, in one random order, until its intervals settled on which side of the "
        "verdict's thresholds its retentions lie. The intervals are confidence sequences: they hold at every moment at "
        "once, so that stopping doesn't harm them, and they are for what all items would give. A cell that used all "
        f"its items was settled by nothing less.{saved}"
    )
    return Table("sequential", "Items that each cell took", caption, columns, tuple(rows))


def problems(run: Run) -> Table:
    """The language matrix on tasks: pass@1 after zeroing each language's spot."""
    table = run.further.get("language_matrix")
    tasks: list[str] = []
    rows = []
    if table is not None:
        rates = table[table["measure"] == "pass@1"]
        tasks = list(dict.fromkeys(rates["of"]))
        before = rates.drop_duplicates("of").set_index("of")["original"].to_dict()
        rows.append(Row("", "", "original", ("None", *(Number(float(before[task])) for task in tasks))))
        for spot, found in rates.groupby("spot", sort=False):
            by_task = {row["of"]: row for row in found.to_dict("records")}
            values = [Number(*(float(by_task[task][c]) for c in ("value", "low", "high"))) for task in tasks]
            rows.append(Row("", "", "spot", (domain_label(str(spot)), *values)))
    columns = (
        Column("spot", "Spot of"),
        *(Column(task, task_label(task), "score", has_range=True) for task in tasks),
    )
    caption = (
        "pass@1 on problems in each language after zeroing the spot of one language, with 95% Wilson intervals. A "
        "language with a region of its own fails by its own spot alone."
    )
    return Table("language_problems", "Spots of languages and problems", caption, columns, tuple(rows) if tasks else ())


def matrix_caption(table: pd.DataFrame) -> str:
    """What the matrix of spots and perplexities was made of."""
    one = table.iloc[0]
    return (
        f"Perplexity of each domain (columns) over the original model's after zeroing the top {one['k_percent']:g}% "
        f"for one language alone (rows; {scope_label(one['scope'])}, recipe {one['recipe']}). A dark diagonal: regions "
        "of their own. Rows that are dark throughout: a shared region."
    )


def _resampled(run: Run, summary: RunSummary) -> tuple[Callable[[list[str]], Holds] | None, ...]:
    """For cells by name, whether code is gone, and general ability not kept, in each resample [cells, resamples]."""
    different = "sequential" in run.further or summary.is_partial
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


def _edited(cell: CellSummary) -> str:
    label = control_label(cell.cell.control).capitalize()
    return f"{label}, kept alone" if cell.cell.purpose == "sufficiency" else label


def _sufficiency_row(summary: RunSummary, spot: str, cell: CellSummary) -> Row:
    alone = cell.cell.parameters == 0
    what = "Nothing" if alone else control_label(cell.cell.control).capitalize()
    code, general = cell.intervals.code_retention, cell.intervals.general_retention
    ratios = [
        Number(cell.perplexity_ratio.get(domain.name))
        for domain in summary.plan.domains
        if domain.held_out or domain.kind == "general"
    ]
    values: tuple[Value, ...] = (
        what,
        Number(None if alone else cell.cell.k_percent),
        Number(cell.metrics.code),
        Number(cell.metrics.code_retention, *(code or (None, None))),
        Number(cell.metrics.general_retention, *(general or (None, None))),
        *ratios,
    )
    return Row(spot, summary.title(spot), "spot" if cell.cell.control is None else "control", values)


def _change(part: pd.DataFrame) -> Number:
    if len(part) == 1:
        return Number(*(float(part.iloc[0][name]) for name in ("change", "low", "high")))
    return Number(mean(part["change"]), float(part["change"].min()), float(part["change"].max()))


def _rank_agreement(joined: pd.DataFrame) -> str:
    finite = joined[np.isfinite(joined["change"].astype(float))]
    if len(finite) < 3:
        return ""
    correlation = float(spearmanr(finite["predicted"], finite["change"]).statistic)
    return f" Spearman correlation over all cells and domains: {correlation:.2f}."
