"""Reports: summary, tables, figures and one HTML page, made from a run directory alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.report.build import build_report
    from codingspot.report.console import console_report
    from codingspot.report.run_files import Run, read_run
    from codingspot.report.summary import CellSummary, RunSummary, summarise

__all__ = ["CellSummary", "Run", "RunSummary", "build_report", "console_report", "read_run", "summarise"]

load_lazily(__name__)
