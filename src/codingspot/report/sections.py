"""What a run's analyses and views show and say, of those that its directory holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codingspot.analysis_registry import ANALYSES, analyses
from codingspot.report.run_files import Run
from codingspot.report.section import Section, under_one_title
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.views import VIEWS, views


def analysis_sections(run: Run, summary: RunSummary, findings: Sequence[Finding]) -> tuple[Section, ...]:
    """What each analysis shows, in their order."""
    made: list[Section] = []
    for name in analyses():
        with ANALYSES.at_work(name):
            made += [
                each.shown(ANALYSES.label(name)) for each in ANALYSES.traits(name).sections(run, summary, findings)
            ]
    return under_one_title(made)


def analysis_figures(run: Run) -> dict[str, dict[str, Any]]:
    """What analyses say of single spots, as JSON values: spot to analysis to figures."""
    found: dict[str, dict[str, Any]] = {}
    for name in analyses():
        with ANALYSES.at_work(name):
            for spot, figures in ANALYSES.traits(name).figures(run).items():
                found.setdefault(spot, {})[name] = dict(figures)
    return found


def view_sections(run: Run) -> dict[str, Section]:
    """View to its section; a view of a package that isn't installed any more is left out."""
    made = {}
    for name in (each for each in views() if each in run.views):
        with VIEWS.at_work(name):
            made[name] = VIEWS.traits(name).load().section(run.views[name], run.plan).shown(VIEWS.label(name))
    return made
