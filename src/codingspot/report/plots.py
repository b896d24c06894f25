"""Drawing curves on axes: every function takes empty axes and the numbers, and leaves a finished plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from codingspot.ablation import CONTROLS
from codingspot.evaluation.statistics import Interval
from codingspot.report.labels import control_label, domain_label, dose, plural
from codingspot.report.point_labels import PointLabels
from codingspot.report.specificity import KEPT, PERPLEXITY_LIMIT
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.theme import CODE, GENERAL, INK, MARKERS, MUTED, SPOTS
from codingspot.report.ticks import decades, set_ticks, write_numbers
from codingspot.study.cells import Control

_LEGEND_WIDTH = 70
"""Characters that fit below a panel."""

BAND_ALPHA: Final = 0.16
_THIN: Final[dict[str, Any]] = {"linewidth": 1.1, "markersize": 3.8, "markerfacecolor": "none"}
_CONTROLS: Final = {"matched": ("--", "sDPX"), "drawn": (":", "^<>1"), "": ("-.", "vDP*Xh")}
"""Line and markers of the matched random controls, the other random ones, and the rest, in order of appearance."""

_Value = Callable[[CellSummary], float | None]
_Range = Callable[[CellSummary], Interval | None]


def draw_dose_response(axes: Axes, *, summary: RunSummary, spot: str) -> None:
    """Retention of code and of general ability against k, with the spot's controls."""
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    for colour, value, interval in ((GENERAL, _general, _general_interval), (CODE, _code, _code_interval)):
        for control in summary.controls(spot):
            _control_curve(axes, summary, spot, control, colour, value)
        # General is drawn broader, so that code on top of it doesn't hide it.
        _curve_with_band(axes, summary.of(spot), colour, value, interval, width=2.2 if colour == GENERAL else 1.5)
    _dose_axis(axes, summary.doses(spot))
    controls = summary.controls(spot)
    shown = [c for kind in (None, *controls) for c in summary.of(spot, kind)]
    axes.set_ylim(*_limits([*_values(shown, _general), *_values(shown, _code)]))
    axes.set_ylabel("retention above chance")
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=CODE, linewidth=2.6, label="code"),
        Line2D([], [], color=GENERAL, linewidth=2.6, label="general"),
    ]
    if controls:
        handles.append(Line2D([], [], color=INK, marker="o", label="spot"))
    handles += [Line2D([], [], color=INK, label=control_label(c), **_control_style(summary, c)) for c in controls]
    legend_below(axes, handles, columns=3)


def draw_specificity(axes: Axes, *, summary: RunSummary) -> None:
    """Code against general retention: a curve for each spot, and one for each kind of its controls."""
    axes.axvspan(KEPT, 2, color=MUTED, alpha=0.1, linewidth=0)
    axes.plot([-1, 2], [-1, 2], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    handles: list[Line2D | Patch] = []
    labels = PointLabels()
    for index, spot in enumerate(summary.plan.spots()):
        colour, marker = SPOTS[index % len(SPOTS)], MARKERS[index % len(MARKERS)]
        cells = summary.of(spot)
        curve = _with_original(_points(cells, _general, _code))
        axes.plot(*curve, color=colour, marker=marker, zorder=4)
        labels.avoid(*curve)
        for cell in cells:
            labels.avoid(*_cross(axes, cell, colour))
            for x, y in _points([cell], _general, _code):
                labels.add(x, y, dose(cell.cell.k_percent), colour)
        handles.append(Line2D([], [], color=colour, marker=marker, label=f"{spot} (scope {cells[0].cell.scope})"))
        for control in summary.controls(spot):
            drawn = [_mean_point(summary.at(spot, control, k)) for k in summary.doses(spot)]
            control_curve = _with_original([point for point in drawn if point is not None])
            labels.avoid(*control_curve)
            axes.plot(*control_curve, color=colour, **_control_style(summary, control))
            handles.append(
                Line2D(
                    [],
                    [],
                    color=colour,
                    label=f"{spot}: {control_label(control)}",
                    **_control_style(summary, control),
                )
            )
    everything = [cell for cell in summary.cells if cell.cell.spot is not None]
    x_range, y_range = _limits(_values(everything, _general)), _limits(_values(everything, _code))
    axes.set_xlim(*x_range)
    axes.set_ylim(*y_range)
    axes.text(
        1, 1.01, "general ability kept", transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, color=MUTED
    )
    axes.set_xlabel("general retention (1: unharmed)")
    axes.set_ylabel("code retention (0: coding is gone)")
    labels.avoid(x_range, (y_range[1], y_range[1]))
    labels.avoid(x_range, (0, 0))
    labels.avoid((0, 0), y_range)
    labels.place(axes)
    legend_below(axes, handles, columns=2)


def _control_style(summary: RunSummary, control: Control) -> dict[str, Any]:
    """Line and marker of a kind of control, the same in every panel of a report."""
    shown = dict.fromkeys(c for spot in summary.plan.spots() for c in summary.controls(spot))
    alike = [other for other in shown if _kind(other) == _kind(control)]
    linestyle, markers = _CONTROLS[_kind(control)]
    return {"linestyle": linestyle, "marker": markers[alike.index(control) % len(markers)], **_THIN}


def _kind(control: Control) -> str:
    traits = CONTROLS.traits_if_known(control)
    return "matched" if traits.matched else "drawn" if traits.drawn else ""


def draw_perplexity(axes: Axes, *, summary: RunSummary, spot: str) -> None:
    """Perplexity ratio against k: the scored languages as a band, other domains as lines."""
    cells = summary.of(spot)
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.axhline(PERPLEXITY_LIMIT, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    handles: list[Line2D | Patch] = []
    scored = [d.name for d in summary.plan.domains if d.kind == "code" and not d.held_out]
    if scored:
        ratios = [(c.cell.k_percent, [c.perplexity_ratio[name] for name in scored]) for c in cells]
        finite = [(k, values) for k, values in ratios if all(map(math.isfinite, values))]
        axes.fill_between(
            [k for k, _ in finite],
            [min(values) for _, values in finite],
            [max(values) for _, values in finite],
            color=CODE,
            alpha=2 * BAND_ALPHA,
            linewidth=0,
        )
        handles.append(
            Patch(color=CODE, alpha=2 * BAND_ALPHA, linewidth=0, label=plural(len(scored), "scored language"))
        )
    for index, domain in enumerate(d for d in summary.plan.domains if d.name not in scored):
        colour = CODE if domain.kind == "code" else GENERAL
        held_out = " (held out)" if domain.held_out else ""
        points = [(c.cell.k_percent, c.perplexity_ratio[domain.name]) for c in cells]
        finite_points = [(k, value) for k, value in points if math.isfinite(value)]
        style: dict[str, Any] = {"color": colour, "marker": MARKERS[index % len(MARKERS)]}
        axes.plot([k for k, _ in finite_points], [value for _, value in finite_points], **style)
        handles.append(Line2D([], [], label=f"{domain_label(domain.name)}{held_out}", **style))
    _dose_axis(axes, summary.doses(spot))
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.9), max(high, 4.5))
    ticks = decades(1, high) if high > 100 else [1, 2, 5, 10, 20, 50] if high > 6 else [1, 1.5, 2, 3, 4, 5]
    ticks = [tick for tick in ticks if tick < max(high, 4.5)]
    set_ticks(axes.yaxis, ticks, [f"{number}×" for number in write_numbers(ticks)])
    axes.set_ylabel("perplexity over the original's")
    legend_below(axes, handles, columns=3)


def _curve_with_band(
    axes: Axes,
    cells: Sequence[CellSummary],
    colour: str,
    value: _Value,
    interval: _Range,
    *,
    width: float,
) -> None:
    points = [(c.cell.k_percent, found) for c in cells if (found := value(c)) is not None]
    bands = [(c.cell.k_percent, band) for c in cells if (band := interval(c)) is not None]
    axes.fill_between(
        [k for k, _ in bands],
        [band.low for _, band in bands],
        [band.high for _, band in bands],
        color=colour,
        alpha=BAND_ALPHA,
        linewidth=0,
    )
    axes.plot(
        [k for k, _ in points],
        [found for _, found in points],
        color=colour,
        marker="o",
        zorder=4,
        linewidth=width,
        markersize=3 + width,
    )


def _control_curve(axes: Axes, summary: RunSummary, spot: str, control: Control, colour: str, value: _Value) -> None:
    by_dose = {k: _values(summary.at(spot, control, k), value) for k in summary.doses(spot)}
    drawn = {k: values for k, values in by_dose.items() if values}
    means = [fmean(values) for values in drawn.values()]
    for (k, values), mean in zip(drawn.items(), means, strict=True):
        axes.plot([k, k], [min(mean, *values), max(mean, *values)], color=colour, linewidth=0.9, zorder=3)
    axes.plot(list(drawn), means, color=colour, zorder=3, **_control_style(summary, control))


def _cross(axes: Axes, cell: CellSummary, colour: str) -> tuple[list[float], list[float]]:
    """Draw the two intervals of one cell around its point; returns the path drawn."""
    general, code = _general_interval(cell), _code_interval(cell)
    xs: list[float] = []
    ys: list[float] = []
    for x, y in _points([cell], _general, _code):
        if general is not None:
            xs += [general.low, general.high, x]
            ys += [y, y, y]
        if code is not None:
            xs += [x, x]
            ys += [code.low, code.high]
    axes.plot(xs, ys, color=colour, alpha=0.45, linewidth=0.9)
    return xs, ys


def _dose_axis(axes: Axes, doses: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(doses[0] / 1.5, doses[-1] * 1.5)
    set_ticks(axes.xaxis, doses, [f"{k:g}" for k in doses])
    axes.set_xlabel("k, percent of all parameters")


def _width(handles: Sequence[Line2D | Patch], columns: int) -> int:
    """Characters across a legend, which is filled column by column, a handle being as wide as six."""
    rows = math.ceil(len(handles) / columns)
    labels = [len(str(handle.get_label())) for handle in handles]
    return sum(6 + max(labels[start : start + rows]) for start in range(0, len(labels), rows))


def legend_below(axes: Axes, handles: Sequence[Line2D | Patch], *, columns: int) -> None:
    """A legend under the axes, of so many columns or as many as fit."""
    columns = next((n for n in range(columns, 1, -1) if _width(handles, n) <= _LEGEND_WIDTH), 1)
    axes.legend(
        handles=list(handles),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=min(columns, len(handles)),
        columnspacing=1.1,
        borderaxespad=0,
    )


def _limits(retentions: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis of retention: 0 and 1 with some air, and whatever lies outside them, within reason."""
    low, high = min(retentions, default=0.0), max(retentions, default=1.0)
    return max(min(-0.1, low - 0.05), -0.6), min(max(1.09, high + 0.05), 1.6)


def _points(cells: Sequence[CellSummary], x: _Value, y: _Value) -> list[tuple[float, float]]:
    return [(a, b) for c in cells if (a := x(c)) is not None and (b := y(c)) is not None]


def _with_original(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The curve's x and y, from the original model at (1, 1)."""
    return [1.0, *(x for x, _ in points)], [1.0, *(y for _, y in points)]


def _mean_point(cells: Sequence[CellSummary]) -> tuple[float, float] | None:
    points = _points(cells, _general, _code)
    return (fmean(x for x, _ in points), fmean(y for _, y in points)) if points else None


def _values(cells: Sequence[CellSummary], value: _Value) -> list[float]:
    return [found for cell in cells if (found := value(cell)) is not None]


def _general(cell: CellSummary) -> float | None:
    return cell.metrics.general_retention


def _code(cell: CellSummary) -> float | None:
    return cell.metrics.code_retention


def _general_interval(cell: CellSummary) -> Interval | None:
    return cell.intervals.general_retention


def _code_interval(cell: CellSummary) -> Interval | None:
    return cell.intervals.code_retention
