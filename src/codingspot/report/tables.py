"""The tables of a report: the paper's three, the one corrected for chance, and the verdicts on programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Final

import pandas as pd

from codingspot.evaluation.results import programs_of
from codingspot.evaluation.statistics import Interval
from codingspot.report.comparisons import areas, paired_tests
from codingspot.report.doses import doses
from codingspot.report.labels import control_label, domain_label, task_label
from codingspot.report.provenance import (
    cut_phrase,
    decoding_phrase,
    estimator_phrase,
    fewer_phrase,
    items_phrase,
    perplexity_phrase,
)
from codingspot.report.run_files import Run
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.table import Column, Number, Role, Row, Table, Value, mean
from codingspot.study.cells import ORIGINAL, Asked, EvaluatedDomain, Plan

VERDICTS: Final = ("passed", "wrong answer", "exception", "syntax error", "empty", "timed out", "killed")
"""What the sandbox says of a program, best first."""

NOT_ASKED: Final = "not asked"
"""Where perplexity alone was taken."""

_EDITED: Final = (Column("edited", "Edited"), Column("k_percent", "k", "dose"))


def build_tables(run: Run, summary: RunSummary) -> tuple[Table, ...]:
    """Every table of the report. A table that would have no row for an edited model is left out."""
    of_tasks = (dose_response, counterfactual, monosemanticity, retention) if summary.plan.tasks else ()
    tables = (
        *(table(run, summary) for table in of_tasks),
        perplexity(run, summary),
        areas(run, summary),
        paired_tests(run, summary),
        verdicts(run, summary),
        doses(run, summary),
    )
    return tuple(table for table in tables if table.has_rows)


def dose_response(run: Run, summary: RunSummary) -> Table:
    """Table 1 of the paper: rates of every task, original and at each k."""
    rows = [
        _row(spot, heading, role, cells, *_rates(cells, summary.plan))
        for spot, heading, role, cells in _rows(summary, controls=False)
    ]
    caption = _rates_caption(run)
    return Table(
        "table1_dose_response", "Table 1: rates at each dose", caption, _rate_columns(summary.plan), tuple(rows)
    )


def counterfactual(run: Run, summary: RunSummary) -> Table:
    """Table 2 of the paper: the spot beside random controls of the same size, at each k."""
    rows = [
        _row(spot, heading, role, cells, *_rates(cells, summary.plan, other=False))
        for spot, heading, role, cells in _rows(summary, controlled_only=True)
    ]
    caption = (
        f"{_rates_caption(run)} Beside the spot, as many random parameters: uniform, drawn without replacement from "
        "its scope; matched, the same number from each tensor that the spot touches. Random rows are means over "
        f"{_seeds(run)}, average and code with the smallest and largest (min to max)."
    )
    return Table(
        "table2_counterfactual",
        "Table 2: the spot beside random controls",
        caption,
        _rate_columns(summary.plan, other=False),
        tuple(rows),
    )


def monosemanticity(run: Run, summary: RunSummary) -> Table:
    """Table 3 of the paper: relative changes and M_s, for the controls too."""
    columns = (
        *_EDITED,
        Column("average", "Average", "rate"),
        Column("gtc_percent", "Avg. GTC", "change", has_range=True),
        Column("code", "Code", "rate"),
        Column("code_change_percent", "Code change", "change", has_range=True),
        Column("m_s", "M_s", "score", has_range=True),
    )
    rows = []
    for spot, heading, role, cells in _rows(summary):
        average, code = _bare(cells, lambda c: c.metrics.average), _bare(cells, lambda c: c.metrics.code)
        gtc, code_change, m_s = (
            Number(None) if role == "original" else _pool(cells, figure)
            for figure in (
                lambda c: c.metrics.general_change_percent,
                lambda c: c.metrics.code_change_percent,
                lambda c: c.metrics.m_s,
            )
        )
        rows.append(_row(spot, heading, role, cells, average, gtc, code, code_change, m_s))
    caption = (
        "Average of the general tasks and code rate in percent of items, their relative changes in percent (GTC, "
        "code change), and M_s = (code0 - code) / (1 + general0 - general) in percentage points, which is what "
        "reproduces the paper's values. M_s is not scale-free and grows without bound as general damage goes to 0: "
        "nothing is concluded from it. It isn't defined where general ability gains a point or more; such seeds "
        "are left out of its mean. "
        f"Random rows: mean (min to max) over {_seeds(run)}. Code: {decoding_phrase(run)}. "
        f"Estimator: {estimator_phrase(run)}.{fewer_phrase(run)}"
    )
    if summary.original.metrics.m_s is None:
        caption += (
            " In this run M_s isn't defined: the original model is too near chance on every code or every general "
            "task, or there is none."
        )
    return Table("table3_monosemanticity", "Table 3: relative change and M_s", caption, columns, tuple(rows))


def retention(run: Run, summary: RunSummary) -> Table:
    """Retention corrected for chance, with intervals, and perplexity ratios, for every spot, scope and control."""
    domains = _shown_domains(summary.plan)
    whole = any(cell.units is not None for cell in summary.plan.cells)
    columns = (
        *_EDITED,
        Column("parameters", "Parameters", "count"),
        *([Column("units", "Units", "count")] if whole else []),
        Column("percent_of_scope", "Of scope", "share"),
        Column("code_retention", "Code retention", "retention", has_range=True),
        Column("general_retention", "General retention", "retention", has_range=True),
        *(Column(f"perplexity_ratio_{d.name}", f"{domain_label(d.name)} ppl. ratio", "ratio") for d in domains),
    )
    rows = []
    for spot, heading, role, cells in _rows(summary):
        values: list[Value] = [
            Number(cells[0].cell.parameters),
            *([Number(cells[0].cell.units)] if whole else []),
            Number(cells[0].percent_of_scope),
            _with_interval(cells, lambda c: c.metrics.code_retention, lambda c: c.intervals.code_retention),
            _with_interval(cells, lambda c: c.metrics.general_retention, lambda c: c.intervals.general_retention),
        ]
        values += [Number(mean(c.perplexity_ratio.get(d.name) for c in cells)) for d in domains]
        rows.append(_row(spot, heading, role, cells, *values))
    caption = (
        "Retention R = (a - c) / (a0 - c): 1 keeps all that the original model has above chance, 0 is chance. a and "
        "a0 are rates of the edited and the original model, c the chance level of the task's items; mean over tasks "
        f"whose a0 - c is at least 0.05. Spot rows: 95% {_intervals_phrase(run)}. "
        f"Random rows: mean (min to max) over {_seeds(run)}. Perplexity ratio: edited over original, on "
        "held-out text, of the languages held out of scoring and of general text. k is in percent of all "
        "parameters, 'of scope' in percent of those in scope. "
        f"Estimator: {estimator_phrase(run)}.{cut_phrase(run)}{fewer_phrase(run)}"
    )
    if whole:
        caption += " Units: neurons, heads or the like that were edited whole, to which k is rounded down."
    return Table("table4_retention", "Table 4: retention corrected for chance", caption, columns, tuple(rows))


def perplexity(run: Run, summary: RunSummary) -> Table:
    """Perplexity of every domain at every dose, where cells were asked no tasks; otherwise without rows."""
    columns = (
        *_EDITED,
        *(
            Column(f"perplexity_{d.name}", domain_label(d.name), "ratio", has_change=True, has_range=True)
            for d in summary.plan.domains
        ),
    )
    wanted = not summary.plan.tasks or any(
        cell.asked.asks_nothing and cell.asked is not Asked.DRAW for cell in summary.cells
    )
    rows = [
        _row(spot, heading, role, cells, *(_perplexity(cells, d.name) for d in summary.plan.domains))
        for spot, heading, role, cells in (_rows(summary) if wanted and summary.original.perplexity else ())
    ]
    caption = (
        f"Perplexity of held-out text ({perplexity_phrase(run)}), in brackets its relative change from the original "
        f"model in percent. Random rows: means, with smallest and largest, over {_seeds(run)}. k is in percent of all "
        f"{_parameters(run)} parameters."
    )
    return Table("perplexity", "Perplexity at each dose", caption, columns, tuple(rows))


def _perplexity(cells: tuple[CellSummary, ...], domain: str) -> Number:
    return _with_change(
        cells,
        lambda c: c.perplexity.get(domain),
        lambda c: 100 * (c.perplexity_ratio[domain] - 1) if domain in c.perplexity_ratio else None,
    )


def verdicts(run: Run, summary: RunSummary) -> Table:
    """How many programs got each verdict, for every code task and cell."""
    code = [task.name for task in summary.plan.with_role("code")]
    counts = _verdict_counts(run.results.outcomes, code)
    others = sorted({verdict for counter in counts.values() for verdict in counter} - set(VERDICTS))
    names = (*VERDICTS, *others)
    columns = (
        *_EDITED,
        Column("task", "Task"),
        Column("programs", "Programs", "count"),
        *(Column(name.replace(" ", "_").replace("-", "_"), name.capitalize(), "count") for name in names),
    )
    rows = []
    for spot, heading, role, cells in _rows(summary):
        for task in code:
            found: Counter[str] = Counter()
            for cell in cells:
                found.update(counts.get((cell.cell.name, task), Counter()))
            numbers = (Number(found.total()), *(Number(found[name]) for name in names))
            rows.append(_row(spot, heading, role, cells, task_label(task), *numbers))
    caption = (
        f"Verdicts of the sandbox on generated programs, counted; random rows are summed over {_seeds(run)}. "
        f"{decoding_phrase(run)}."
    )
    return Table("verdicts", "Verdicts on generated programs", caption, columns, tuple(rows))


def _rows(
    summary: RunSummary, *, controls: bool = True, controlled_only: bool = False
) -> Iterator[tuple[str, str, Role, tuple[CellSummary, ...]]]:
    """Spot, heading, role and cells of each row: the original model, then each k."""
    for spot in summary.plan.spots():
        shown = summary.controls(spot) if controls else ()
        if controlled_only and not shown:
            continue
        heading = summary.title(spot)
        yield spot, heading, "original", (summary.original,)
        for k in summary.doses(spot):
            yield spot, heading, "spot", summary.at(spot, None, k)
            for control in shown:
                drawn = summary.at(spot, control, k)
                if drawn:
                    yield spot, heading, "control", drawn


def _row(spot: str, heading: str, role: Role, cells: tuple[CellSummary, ...], *values: Value) -> Row:
    return Row(spot, heading, role, (*_edited(cells), *values), tuple(cell.cell.name for cell in cells))


def _edited(cells: tuple[CellSummary, ...]) -> tuple[Value, ...]:
    """What was edited and its dose: the first two values of every row."""
    cell = cells[0].cell
    if cell.name == ORIGINAL:
        return "Original", Number(None)
    return control_label(cell.control).capitalize(), Number(cell.k_percent)


def _rate_columns(plan: Plan, *, other: bool = True) -> tuple[Column, ...]:
    """General tasks, their average with GTC, and code: the columns of Tables 1 and 2."""
    code = plan.with_role("code")
    columns = [
        *_EDITED,
        *(Column(task.name, task_label(task.name), "rate", "General") for task in plan.with_role("general")),
        Column("average", "Avg. (GTC)", "rate", "General", has_change=True, has_range=True),
    ]
    if len(code) > 1:
        columns += [Column(task.name, task_label(task.name), "rate", "Code") for task in code]
    name = task_label(code[0].name) if len(code) == 1 else "Average"
    columns.append(Column("code", name, "rate", "Code", has_change=True, has_range=True))
    if other:
        columns += [Column(task.name, task_label(task.name), "rate", "Other") for task in plan.with_role("other")]
    return tuple(columns)


def _rates_caption(run: Run) -> str:
    """Unit, denominators, and how a rate was made: what Tables 1 and 2 have in common."""
    return (
        f"Rates in percent of items ({items_phrase(run)}). k is in percent of all {_parameters(run)} parameters. "
        "Average: over the general tasks; in brackets its relative change from the original model (the paper's GTC) "
        f"in percent, and that of code. Code: {decoding_phrase(run)}. Estimator: {estimator_phrase(run)}."
        f"{fewer_phrase(run)}"
    )


def _rates(cells: tuple[CellSummary, ...], plan: Plan, *, other: bool = True) -> tuple[Value, ...]:
    code = plan.with_role("code")
    values = [_task_rate(cells, task.name) for task in plan.with_role("general")]
    values.append(_changed(cells, lambda c: c.metrics.average, lambda c: c.metrics.general_change_percent))
    if len(code) > 1:
        values += [_task_rate(cells, task.name) for task in code]
    values.append(_changed(cells, lambda c: c.metrics.code, lambda c: c.metrics.code_change_percent))
    if other:
        values += [_task_rate(cells, task.name) for task in plan.with_role("other")]
    return tuple(values)


Figure = Callable[[CellSummary], float | None]


def _task_rate(cells: tuple[CellSummary, ...], task: str) -> Value:
    return _pooled_or_not_asked(cells, lambda cells: Number(mean(c.metrics.rates.get(task) for c in cells)))


def _pooled_or_not_asked(cells: tuple[CellSummary, ...], pool: Callable[[tuple[CellSummary, ...]], Number]) -> Value:
    """What is pooled of the cells, which may have been asked nothing."""
    return NOT_ASKED if all(cell.asked.asks_nothing for cell in cells) else pool(cells)


def _changed(cells: tuple[CellSummary, ...], figure: Figure, change: Figure) -> Value:
    """A pooled figure with its relative change; the original model has none."""
    return _pooled_or_not_asked(cells, lambda cells: _with_change(cells, figure, change))


def _with_change(cells: tuple[CellSummary, ...], figure: Figure, change: Figure) -> Number:
    pooled = _number_of(cells, figure)
    changed = None if cells[0].cell.name == ORIGINAL else mean(change(c) for c in cells)
    return Number(pooled.value, pooled.low, pooled.high, changed)


def _pool(cells: tuple[CellSummary, ...], figure: Figure) -> Value:
    return _pooled_or_not_asked(cells, lambda cells: _number_of(cells, figure))


def _number_of(cells: tuple[CellSummary, ...], figure: Figure) -> Number:
    """The figure of one cell; of several seeds its mean with the smallest and largest, where it is defined."""
    values = [value for value in map(figure, cells) if value is not None]
    if len(values) < 2:
        return Number(mean(values))
    return Number(fmean(values), min(values), max(values))


def _with_interval(
    cells: tuple[CellSummary, ...], figure: Figure, interval: Callable[[CellSummary], Interval | None]
) -> Value:
    """The figure of one cell with its interval; of several seeds as :func:`_pool` has it."""
    found = interval(cells[0])
    if len(cells) > 1 or found is None or cells[0].cell.name == ORIGINAL:
        return _pool(cells, figure)
    return Number(figure(cells[0]), found.low, found.high)


def _bare(cells: tuple[CellSummary, ...], figure: Figure) -> Value:
    """The pooled figure without its range."""
    return _pooled_or_not_asked(cells, lambda cells: Number(_number_of(cells, figure).value))


def _shown_domains(plan: Plan) -> list[EvaluatedDomain]:
    """The languages held out of scoring, then the general domains."""
    held_out = [domain for domain in plan.domains if domain.kind == "code" and domain.held_out]
    return held_out + [domain for domain in plan.domains if domain.kind == "general"]


def _verdict_counts(outcomes: pd.DataFrame, code: list[str]) -> dict[tuple[str, str], Counter[str]]:
    """Cell and task to the number of programs with each verdict."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    rows = programs_of(outcomes[outcomes["task"].isin(code)])
    sizes = rows.groupby(["cell", "task", "verdict"], sort=False, as_index=False).size()
    for cell, task, verdict, items in zip(*(sizes[name] for name in sizes), strict=True):
        counts.setdefault((cell, task), Counter())[verdict or "none"] += int(items)
    return counts


def _intervals_phrase(run: Run) -> str:
    if run.stopped is not None:
        return "confidence sequence, at the item where the cell was settled"
    return "bootstrap interval over items, paired with the original model"


def _parameters(run: Run) -> str:
    return f"{run.plan.model.parameters:,}"


def _seeds(run: Run) -> str:
    seeds = {cell.seed for cell in run.plan.cells if cell.seed is not None and cell.purpose != "draw"}
    return f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
