"""The page: one HTML file that holds everything, reads from any width, and needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codingspot.escaping import visible
from codingspot.evaluation.standing import DRAWS_NEEDED
from codingspot.report.drawing import Picture, to_svg
from codingspot.report.findings import findings_table
from codingspot.report.labels import dose, join_words
from codingspot.report.provenance import details, estimator_phrase, fewer_phrase
from codingspot.report.run_files import Run
from codingspot.report.samples import sample_problems
from codingspot.report.section import Section
from codingspot.report.specificity import (
    KEPT,
    LOST,
    PERPLEXITY_LIMIT,
    Finding,
    Verdict,
)
from codingspot.report.summary import RunSummary
from codingspot.report.table import Table, main_text, side_text
from codingspot.report.words import headline, sentence
from codingspot.views import saved_name

_TONES = {
    Verdict.SPECIFIC: "good",
    Verdict.BY_LOSSES: "good",
    Verdict.UNCONTROLLED: "open",
    Verdict.NO_EFFECT: "open",
    Verdict.UNDEFINED: "open",
}

_PLACES = {"vocabulary": "embedding and output head", "norms": "norms", "blocks": "attention and MLP matrices"}


@dataclass(frozen=True)
class _Drawn:
    """A picture on the page: its words, and for each panel its title and its SVG."""

    name: str
    title: str
    caption: str
    panels: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True)
class _Part:
    """A section on the page: a view's by its name, an analysis's by its place."""

    name: str
    title: str
    section: Section
    pictures: tuple[_Drawn, ...]


def render_page(
    run: Run,
    summary: RunSummary,
    findings: Sequence[Finding],
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    analyses: Sequence[Section],
    views: Mapping[str, Section],
) -> str:
    """The whole page. Everything that came from outside (names, samples) is escaped, and all of it can be seen."""
    environment = Environment(
        loader=PackageLoader("codingspot.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(main_text=main_text, side_text=side_text, spans=_spans)
    styles = files("codingspot.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    lead = headline(summary, tuple(findings))
    page = environment.get_template("page.html.j2").render(
        styles=Markup(styles + "".join(section.style for section in (*analyses, *views.values()))),
        plan=run.plan,
        model=run.model_name(),
        description=str(run.study.get("description") or ""),
        estimator=estimator_phrase(run),
        headline=lead,
        chips=[(finding.spot, finding.verdict, _TONES.get(finding.verdict, "bad")) for finding in findings],
        sentences=[sentence(summary, finding) for finding in findings if not _is_told(summary, finding, lead)],
        findings_table=findings_table(summary, findings),
        tables={table.name: table for table in tables},
        pictures={picture.name: _drawn(picture) for picture in pictures},
        places=_places(summary, findings),
        problems=sample_problems(run, findings),
        views=[_shown(saved_name(name), section) for name, section in views.items()],
        analyses=[_shown(section.place, section) for section in analyses],
        details=details(run),
        notes=[fewer_phrase(run)] if fewer_phrase(run) else [],
        limits={"kept": KEPT, "lost": LOST, "perplexity": PERPLEXITY_LIMIT, "draws": DRAWS_NEEDED},
    )
    return visible(page)


def _is_told(summary: RunSummary, finding: Finding, lead: Sequence[str]) -> bool:
    return sentence(summary, finding) in lead or sentence(summary, finding, brief=True) in lead


def _spans(table: Table) -> list[tuple[str, int]]:
    """The headings over groups of columns with the cells that each spans; a column with a side has two."""
    columns = iter(table.columns)
    return [(heading, sum(2 if next(columns).has_side else 1 for _ in range(n))) for heading, n in table.groups()]


def _drawn(picture: Picture) -> _Drawn:
    panels = [
        (panel.title, Markup(to_svg(panel, f"{picture.name}-{number}"))) for number, panel in enumerate(picture.panels)
    ]
    return _Drawn(picture.name, picture.title, picture.caption, tuple(panels))


def _shown(name: str, section: Section) -> _Part:
    return _Part(name, section.title, section, tuple(map(_drawn, section.pictures)))


def _places(summary: RunSummary, findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Each spot with what it ranks by and where, and how much of it lies in which part of the model."""
    found = []
    for finding in findings:
        name, _, text = summary.title(finding.spot).partition(": ")
        if finding.shares:
            parts = [f"{100 * finding.shares[place]:.0f}% in {words}" for place, words in _PLACES.items()]
            text += f". At {dose(finding.cell.cell.k_percent)}: {join_words(parts)}"
        found.append((name, text))
    return found
