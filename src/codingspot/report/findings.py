"""The table of a report that says what may be said of each spot."""

from __future__ import annotations

from collections.abc import Sequence

from codingspot.report.specificity import Finding, general_perplexity_ratio
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table


def findings_table(summary: RunSummary, findings: Sequence[Finding]) -> Table:
    """Each spot at the dose of its finding, in numbers."""
    columns = (
        Column("edited", "Spot"),
        Column("verdict", "Verdict"),
        Column("k_percent", "k", "dose"),
        Column("code", "pass@1", "score"),
        Column("code_retention", "Code retention", "retention", has_range=True),
        Column("general_retention", "General retention", "retention", has_range=True),
        Column("perplexity", "General ppl.", "ratio"),
        Column("matched", "Matched", "score", has_range=True),
        Column("draws", "Draws", "count"),
        Column("p_value", "p", "p_value"),
        Column("vocabulary", "Vocab.", "share"),
        Column("norms", "Norms", "share"),
    )
    before = summary.original.metrics
    unedited = (Number(before.code), Number(before.code_retention), Number(before.general_retention), Number(1.0))
    missing = (Number(None),) * 5
    original: tuple[str | Number, ...] = ("Original", "", Number(None), *unedited, *missing)
    rows = [Row("", "", "original", original)]
    for finding in findings:
        cell = finding.cell
        code, general = cell.intervals.code_retention, cell.intervals.general_retention
        drawn = [control.metrics.code for control in finding.matched if control.metrics.code is not None]
        values: tuple[str | Number, ...] = (
            finding.spot,
            str(finding.verdict),
            Number(cell.cell.k_percent),
            Number(cell.metrics.code),
            Number(cell.metrics.code_retention, *(code or (None, None))),
            Number(cell.metrics.general_retention, *(general or (None, None))),
            Number(general_perplexity_ratio(cell, summary.plan)),
            Number(sum(drawn) / len(drawn), min(drawn), max(drawn)) if drawn else Number(None),
            Number(None if finding.standing is None else len(finding.standing.draws)),
            Number(None if finding.standing is None else finding.standing.p_value),
            *(Number(100 * finding.shares[place] if finding.shares else None) for place in ("vocabulary", "norms")),
        )
        rows.append(Row(finding.spot, "", "spot", values))
    caption = (
        "Each spot at the dose judged; in brackets 95% intervals. General ppl.: the largest ratio of a general domain's"
        " perplexity to the original's. Matched: pass@1 of matched random controls, mean (smallest to largest). Draws, "
        "p: the spot among all draws of a matched control, by the losses of held-out text. Vocab. and norms: how much "
        "of the spot lies in the embedding and output head, and in the norms."
    )
    return Table("findings", "What may be said of each spot", caption, columns, tuple(rows))
