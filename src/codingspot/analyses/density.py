"""Where each spot lies, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables, stacked
from codingspot.report.drawing import Panel, Picture
from codingspot.report.heatmap import draw_density, size_of
from codingspot.report.labels import dose, short_title
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.spot.density import density as density_of
from codingspot.tables import TENSOR, analysis_table, k_percent, share, text, whole


def _sections(run: Run, _summary: RunSummary, findings: Sequence[Finding]) -> Iterator[Section]:
    table, panels = run.density, []
    if table is None:
        return
    for finding in findings:
        k = finding.cell.cell.k_percent
        rows = table[(table["spot"] == finding.spot) & (table["k_percent"] == k)]
        if len(rows):
            panels.append(
                Panel(
                    f"{short_title(finding.cell.cell)}, {dose(k)}",
                    f"Share of each module's parameters that belong to spot {finding.spot} at {dose(k)}.",
                    partial(draw_density, rows=rows),
                    size=size_of(rows),
                )
            )
    caption = (
        "Percentage of the parameters of each module that belong to the spot, by layer; below, what lies outside the "
        "layers. Shading follows the square root, so that small shares can be seen. In brackets: share of the spot."
    )
    yield Section("", (Picture("density", "Where the spot lies", caption, tuple(panels)),), place="place")


@ANALYSES.register(
    "density",
    label="Where the spot lies",
    traits=AnalysisTraits(
        {
            "density": analysis_table(
                text("spot"), k_percent(), *TENSOR, whole("selected"), share("density"), share("share")
            )
        },
        _sections,
        place=10,
        asked=lambda study: bool(study.spots),
        key=lambda made: [made.spots, made.doses],
        names="spot",
    ),
)
def density(given: Given) -> Tables:
    """How much of each tensor belongs to each spot, at each dose."""
    parts = [
        density_of(given.spots[section.name].top(k)).assign(spot=section.name, k_percent=k)
        for section in given.study.spots
        for k in section.k_percent
    ]
    return stacked(density=parts)
