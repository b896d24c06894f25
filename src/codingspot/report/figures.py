"""The figures of a report, as panels to draw: dose-response, specificity, perplexity, density and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from codingspot.report import matrix
from codingspot.report.drawing import Panel, Picture
from codingspot.report.evolution import evolution_pictures
from codingspot.report.heatmap import draw_density, size_of
from codingspot.report.labels import dose
from codingspot.report.plots import draw_agreement, draw_dose_response, draw_perplexity, draw_specificity
from codingspot.report.run_files import Run
from codingspot.report.specificity import KEPT, PERPLEXITY_LIMIT, Finding
from codingspot.report.summary import RunSummary


def build_figures(run: Run, summary: RunSummary, findings: Sequence[Finding]) -> tuple[Picture, ...]:
    """Every figure of spots that the run has data for, the main one (specificity) first."""
    spots = summary.plan.spots()
    if not spots:
        return ()
    figures = [specificity(summary), dose_response(summary)] if summary.plan.tasks else []
    figures.append(perplexity(summary))
    if run.density is not None:
        figures.append(density(run.density, summary, findings))
    if run.budgets is not None:
        figures.append(agreement(run.budgets))
    more = (matrix.shared_regions(run), matrix.language_matrix(run), matrix.prediction(run))
    figures += [figure for figure in more if figure is not None]
    figures += evolution_pictures(run)
    return tuple(figure for figure in figures if figure.panels)


def dose_response(summary: RunSummary) -> Picture:
    """Code and general retention against k, spot and controls; one panel a spot."""
    panels = [
        Panel(
            _title(summary, spot),
            f"Code and general retention of spot {spot} against the share of parameters edited, from "
            f"{dose(summary.doses(spot)[0])} to {dose(summary.doses(spot)[-1])}, with its random controls. "
            "The numbers are in Table 4.",
            partial(draw_dose_response, summary=summary, spot=spot),
        )
        for spot in summary.plan.spots()
    ]
    caption = (
        "What is left of coding and of general ability above chance (1: all, 0: none) as more parameters are edited. "
        "Bands: 95% intervals. Controls edit as many random parameters: means, with bars from smallest to largest."
    )
    return Picture("dose_response", "Dose and response", caption, tuple(panels))


def specificity(summary: RunSummary) -> Picture:
    """Code retention against general retention, one curve a spot and one a kind of its controls."""
    panel = Panel(
        "Code retention against general retention",
        "One curve for each spot and its controls, from the original model at the upper right; a specific spot goes "
        "straight down. The numbers are in Table 4.",
        partial(draw_specificity, summary=summary),
        size=(4.8, 4.5),
    )
    caption = (
        "Each curve starts at the original model (upper right) and follows increasing doses, labelled in percent. An "
        "edit that is specific to code goes straight down, inside the band where general ability is kept (at least "
        f"{KEPT:g}); one along the dotted diagonal takes both alike. Crosses: 95% intervals. "
        "Controls: means over seeds."
    )
    return Picture("specificity", "How specific is the damage?", caption, (panel,))


def perplexity(summary: RunSummary) -> Picture:
    """Perplexity ratio by domain against k; one panel a spot."""
    panels = [
        Panel(
            _title(summary, spot),
            f"Perplexity over the original model's, by domain, against the share of parameters edited for spot {spot}.",
            partial(draw_perplexity, summary=summary, spot=spot),
        )
        for spot in summary.plan.spots()
    ]
    caption = (
        "Perplexity of held-out text over that of the original model, both axes logarithmic; the band spans the "
        "languages that took part in scoring. No edit counts as specific where general perplexity is above the dotted "
        f"line ({PERPLEXITY_LIMIT:g} times the original's)."
    )
    drawn = tuple(panels) if summary.original.perplexity else ()
    return Picture("perplexity", "Perplexity by domain", caption, drawn)


def density(table: pd.DataFrame, summary: RunSummary, findings: Sequence[Finding]) -> Picture:
    """Where each spot lies at the dose of its finding, by layer and module."""
    panels = []
    for finding in findings:
        k = finding.cell.cell.k_percent
        rows = table[(table["spot"] == finding.spot) & (table["k_percent"] == k)]
        if len(rows):
            panels.append(
                Panel(
                    f"{_title(summary, finding.spot)}, {dose(k)}",
                    f"Share of each module's parameters that belong to spot {finding.spot} at {dose(k)}.",
                    partial(draw_density, rows=rows),
                    size=size_of(rows),
                )
            )
    caption = (
        "Percentage of the parameters of each module that belong to the spot, by layer; below, what lies outside the "
        "layers. Shading follows the square root, so that small shares can be seen. In brackets: share of the spot."
    )
    return Picture("density", "Where the spot lies", caption, tuple(panels))


def agreement(curve: pd.DataFrame) -> Picture:
    """Agreement of scores from different draws of text, by token budget."""
    panel = Panel(
        "Agreement between draws of text",
        "Jaccard index of the top k percent between different draws of text, against tokens a domain.",
        partial(draw_agreement, curve=curve),
    )
    caption = (
        "Jaccard index of the top k% of parameters when scored on different text, by tokens a domain: mean over pairs "
        f"of draws; the band reaches down to the worst pair.{_largest(curve)}"
    )
    return Picture("agreement", "How many tokens are enough?", caption, (panel,) if len(curve) else ())


def _largest(curve: pd.DataFrame) -> str:
    """What the largest budget with two draws reached; the whole budget is twice that, and agrees better still."""
    if not len(curve):
        return ""
    budget = int(curve["token_budget"].max())
    rows = curve[curve["token_budget"] == budget]
    return f" Draws of {budget:,} tokens agree to {rows['jaccard'].min():.2f} or better at every k."


def _title(summary: RunSummary, spot: str) -> str:
    return f"{spot} (scope {summary.of(spot)[0].cell.scope})"
