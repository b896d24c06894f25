"""Building a report: everything in a run directory that is made from its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from codingspot.directories import held, renewed_folder
from codingspot.errors import ArtefactError
from codingspot.files import reason, write_json, write_text
from codingspot.report.drawing import FigureFormat, Picture, save_picture
from codingspot.report.figures import build_figures
from codingspot.report.findings import findings_records, findings_table
from codingspot.report.page import render_page
from codingspot.report.run_files import read_run, require_directory
from codingspot.report.sections import analysis_figures, analysis_sections, view_sections
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Table, to_csv, to_latex, to_markdown
from codingspot.report.tables import build_tables

_FORMAT = "codingspot-report"


def build_report(run_directory: Path, *, vector: bool = False) -> Path:
    """Write ``summary.json``, ``findings.json``, ``tables/``, ``figures/`` and ``report.html``.

    Each is written whole or not at all.
    With ``vector``, figures are PDF and SVG besides.

    The same results give the same bytes. They replace those of the last report, and no other file in these folders.
    Returns the page's path.

    Raises:
        OutputError: it is no run directory, or another process writes there (:func:`codingspot.directories.held`).
        ArtefactError: a file of the run is missing, truncated or corrupt, or a cell has no results.
        EvaluationError: a cell was evaluated on other items than the original model.
    """
    require_directory(run_directory)
    with held(run_directory):
        run = read_run(run_directory)
        summary = summarise(run)
        with _tables_that_fit(run_directory):
            findings = judge_all(summary, run.density)
            tables = build_tables(run, summary)
            pictures = build_figures(summary)
            records = findings_records(summary, findings, analysis_figures(run))
            analyses, views = analysis_sections(run, summary, findings), view_sections(run)
            page = render_page(run, summary, findings, tables, pictures, analyses, views)
        sections = (*analyses, *views.values())
        tables += (findings_table(summary, findings), *(table for section in sections for table in section.tables))
        pictures += tuple(picture for section in sections for picture in section.pictures)
        _write_folders(run_directory, tables, pictures, ("png", "pdf", "svg") if vector else ("png",))
        write_json(run_directory / "summary.json", summary.records())
        write_json(run_directory / "findings.json", records)
        write_text(run_directory / "report.html", page)
    return run_directory / "report.html"


@contextmanager
def _tables_that_fit(run_directory: Path) -> Iterator[None]:
    """Tables that are well-formed may still lack rows that others need: that is a fault of the files."""
    try:
        yield
    except (LookupError, ValueError, ArithmeticError) as error:
        raise ArtefactError(
            f"{run_directory / 'analysis'} has tables that don't fit together ({reason(error)}); delete it and run the "
            "study again, which makes them"
        ) from error


def _write_folders(
    run_directory: Path, tables: Sequence[Table], pictures: Sequence[Picture], formats: Sequence[FigureFormat]
) -> None:
    with (
        renewed_folder(run_directory / "tables", _FORMAT) as of_tables,
        renewed_folder(run_directory / "figures", _FORMAT) as of_figures,
    ):
        for table in tables:
            (of_tables / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
            (of_tables / f"{table.name}.csv").write_text(to_csv(table), encoding="utf-8")
            (of_tables / f"{table.name}.tex").write_text(to_latex(table), encoding="utf-8")
        for picture in pictures:
            save_picture(picture, of_figures, formats)
