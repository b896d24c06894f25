"""Where each spot lies, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables, stacked
from codingspot.report.drawing import Panel, Picture
from codingspot.report.heatmap import draw_density, size_of
from codingspot.report.labels import dose, join_words, plural, short_title
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.unit_map import draw_units
from codingspot.report.unit_map import size_of as size_of_units
from codingspot.spot.density import density as density_of
from codingspot.tables import TENSOR, analysis_table, k_percent, share, text, whole

_UNITS_READING = (
    "The whole units of {spots}, by layer: each with its rank where a layer has few, or else how many, beside how many "
    "of as many drawn at random from all of the scope."
)


def _sections(run: Run, _summary: RunSummary, findings: Sequence[Finding]) -> Iterator[Section]:
    table, panels = run.density, []
    if table is None:
        return
    units = {
        f"spot {finding.spot} at {dose(finding.cell.cell.k_percent)}": panel
        for finding in findings
        for panel in _unit_panels(run, finding)
    }
    for finding in findings:
        k = finding.cell.cell.k_percent
        rows = table[(table["spot"] == finding.spot) & (table["k_percent"] == k)]
        if len(rows):
            panels.append(
                Panel(
                    f"{short_title(finding.cell.cell)}, {dose(k)}",
                    f"Share of each module's parameters that belong to spot {finding.spot} at {dose(k)}.",
                    partial(draw_density, rows=rows, spot=finding.spot, scope=str(finding.cell.cell.scope)),
                    size=size_of(rows),
                )
            )
    caption = (
        "Percentage of the parameters of each module that belong to the spot, by layer; below, what lies outside the "
        "layers. Shading follows the square root, so that small shares can be seen. In brackets: share of the spot."
    )
    pictures = (
        Picture("density", "Where the spot lies", caption, tuple(panels)),
        Picture("units", "Which whole units", _UNITS_READING.format(spots=join_words([*units])), tuple(units.values())),
    )
    yield Section("", pictures, place="place")


def _unit_panels(run: Run, finding: Finding) -> Iterator[Panel]:
    """The whole units of a spot by layer, where it is one of units."""
    cell, units = finding.cell.cell, run.units(finding.spot)
    if units is not None and cell.units and len(units):
        kind = str(run.recipe_parameters(finding.spot).get("unit", "unit"))
        yield Panel(
            f"{short_title(cell)}, {plural(cell.units, kind)}",
            f"Which {kind}s are spot {finding.spot} at {dose(cell.k_percent)}, by layer, against chance.",
            partial(draw_units, units=units, spot=finding.spot, chosen=cell.units, kind=kind),
            size=size_of_units(units),
        )


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
