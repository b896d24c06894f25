"""Building a report: everything in a run directory that is made from its results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codingspot.errors import ArtefactError
from codingspot.files import atomic_path, reason, write_json, write_text
from codingspot.report.drawing import Picture, save_png
from codingspot.report.figures import build_figures
from codingspot.report.page import render_page
from codingspot.report.run_files import read_run
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Table, to_csv, to_latex, to_markdown
from codingspot.report.tables import build_tables


def build_report(run_directory: Path) -> Path:
    """Write ``summary.json``, ``tables/``, ``figures/`` and ``report.html``, each whole or not at all.

    The same results give the same bytes. What stood there before is replaced. Returns the page's path.

    Raises:
        ArtefactError: a file of the run is missing, truncated or corrupt, or a cell has no results.
        EvaluationError: a cell was evaluated on other items than the original model.
    """
    run = read_run(run_directory)
    summary = summarise(run)
    try:
        findings = judge_all(summary, run.density)
        tables = build_tables(run, summary)
        pictures = build_figures(run, summary, findings)
        page = render_page(run, summary, findings, tables, pictures)
        write_json(run_directory / "summary.json", summary.records())
        _write_tables(run_directory / "tables", tables)
        _write_figures(run_directory / "figures", pictures)
    except (LookupError, ValueError, ArithmeticError) as error:  # each file is well-formed, but rows are missing
        raise ArtefactError(
            f"{run_directory / 'analysis'} has tables that don't fit together ({reason(error)}); delete it and run the "
            "study again, which makes them"
        ) from error
    write_text(run_directory / "report.html", page)
    return run_directory / "report.html"


def _write_tables(folder: Path, tables: Sequence[Table]) -> None:
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for table in tables:
            (temporary / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
            (temporary / f"{table.name}.csv").write_text(to_csv(table), encoding="utf-8")
            (temporary / f"{table.name}.tex").write_text(to_latex(table), encoding="utf-8")


def _write_figures(folder: Path, pictures: Sequence[Picture]) -> None:
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for picture in pictures:
            save_png(picture, temporary)
