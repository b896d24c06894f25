"""The figures of a report, as panels to draw: dose-response, specificity and perplexity."""

from __future__ import annotations

from functools import partial

from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import dose, short_title
from codingspot.report.plots import draw_dose_response, draw_perplexity, draw_specificity
from codingspot.report.specificity import KEPT, PERPLEXITY_LIMIT
from codingspot.report.summary import RunSummary


def build_figures(summary: RunSummary) -> tuple[Picture, ...]:
    """Every figure of cells that the run has data for, the main one (specificity) first."""
    spots = summary.plan.spots()
    if not spots:
        return ()
    figures = [specificity(summary), dose_response(summary)] if summary.plan.tasks else []
    figures.append(perplexity(summary))
    return tuple(figure for figure in figures if figure.panels)


def dose_response(summary: RunSummary) -> Picture:
    """Code and general retention against k, spot and controls; one panel a spot."""
    panels = [
        Panel(
            short_title(summary.of(spot)[0].cell),
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
            short_title(summary.of(spot)[0].cell),
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
