"""What is left where everything but a spot and a base set is zeroed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables
from codingspot.report.labels import domain_label
from codingspot.report.rows import cell_row, edited
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.table import Column, Number, Row, Table, Value


def _sections(_run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    shown = [domain for domain in summary.plan.domains if domain.held_out or domain.kind == "general"]
    columns = (
        Column("kept", "Kept beside the base set"),
        Column("k_percent", "k", "dose"),
        Column("code", "pass@1", "score"),
        Column("code_retention", "Code retention", "retention", has_range=True),
        Column("general_retention", "General retention", "retention", has_range=True),
        *(
            Column(f"perplexity_ratio_{domain.name}", f"{domain_label(domain.name)} ppl. ratio", "ratio")
            for domain in shown
        ),
    )
    rows = [
        _row(summary, cell, [domain.name for domain in shown])
        for spot in summary.plan.spots()
        for control in (None, *summary.controls(spot))
        for cell in summary.kept_alone(spot, control)
    ]
    caption = (
        "Sufficiency: every weight is zeroed but the base set, which is the same in all rows, and the top k% of the "
        "spot or, in its place, as many parameters of a control. A spot that suffices brings back code, and code more "
        "than general ability, where the base alone and the controls don't. 95% intervals over items."
    )
    yield Section(
        "Zeroing shows what is necessary; keeping the spot alone beside a base set shows whether it suffices.",
        tables=(Table("sufficiency", "What a spot alone brings back", caption, columns, tuple(rows)),),
    )


def _row(summary: RunSummary, cell: CellSummary, domains: Sequence[str]) -> Row:
    kept: tuple[Value, ...] = edited(cell) if cell.cell.parameters else ("Nothing", Number(None))
    code, general = cell.intervals.code_retention, cell.intervals.general_retention
    return cell_row(
        summary,
        cell,
        *kept,
        Number(cell.metrics.code),
        Number(cell.metrics.code_retention, *(code or (None, None))),
        Number(cell.metrics.general_retention, *(general or (None, None))),
        *(Number(cell.perplexity_ratio.get(domain)) for domain in domains),
    )


@ANALYSES.register(
    "sufficiency",
    label="Is the spot sufficient?",
    traits=AnalysisTraits(sections=_sections, after="cells", place=70, asked=lambda _: False),
)
def sufficiency(_given: Given) -> Tables:
    """What is left where everything but a spot and a base set is zeroed: told from the study's cells alone."""
    return {}
