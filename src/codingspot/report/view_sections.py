"""The sections of a run's views, one for each that its directory holds."""

from __future__ import annotations

from dataclasses import replace

from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.tables import has_rows
from codingspot.views import VIEWS, views


def view_sections(run: Run) -> dict[str, Section]:
    """View to its section, without tables that have no row; a view of a package that isn't installed any more is left
    out."""
    found = {}
    for name in views():
        if name in run.views:
            section = VIEWS.traits(name).load().section(run.views[name], run.plan)
            found[name] = replace(section, tables=tuple(filter(has_rows, section.tables)))
    return found
