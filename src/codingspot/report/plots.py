"""Drawing curves on axes: every function takes empty axes and the numbers, and leaves a finished plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Final, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from codingspot.ablation import CONTROLS
from codingspot.evaluation.statistics import Interval
from codingspot.report.labels import control_label, domain_label, dose, fixed, plural, ratio
from codingspot.report.marks import Marks, Point, Series
from codingspot.report.point_labels import PointLabels
from codingspot.report.specificity import KEPT, PERPLEXITY_LIMIT
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.report.theme import CODE, GENERAL, INK, MARKERS, MUTED, SPOTS
from codingspot.report.ticks import decades, set_ticks, write_numbers
from codingspot.study.cells import Control

_LEGEND_WIDTH = 70
"""Characters that fit below a panel."""

BAND_ALPHA: Final = 0.16
_UNMOVED: Final = 0.06
"""How far from the original model a point must lie to have its dose beside it."""
_THIN: Final[dict[str, Any]] = {"linewidth": 1.1, "markersize": 3.8, "markerfacecolor": "none"}
_CONTROLS: Final = {"matched": ("--", "sDPX"), "drawn": (":", "^<>1"), "": ("-.", "vDP*Xh")}
"""Line and markers of the matched random controls, the other random ones, and the rest, in order of appearance."""

_CURVE: Final = ("Curve", "k", "Retention", "95% interval")
_DRAWN: Final = ("Curve", "k", "Mean", "Smallest to largest")
_PAIR: Final = ("Curve", "k", "Code", "95% interval", "General", "95% interval")
_RATIO: Final = ("Domain", "k", "Over the original's")

_Value = Callable[[CellSummary], float | None]
_Range = Callable[[CellSummary], Interval | None]


def draw_dose_response(axes: Axes, *, summary: RunSummary, spot: str) -> Marks:
    """Retention of code and of general ability against k, with the spot's controls."""
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    series: list[Series] = []
    for ability in (_GENERAL, _CODE):
        series += [_control_curve(axes, summary, spot, control, ability) for control in summary.controls(spot)]
        # General is drawn broader, so that code on top of it doesn't hide it.
        series.append(_curve_with_band(axes, summary, spot, ability, width=2.2 if ability is _GENERAL else 1.5))
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
    return Marks(tuple(reversed(series)), summary.doses(spot))


def draw_specificity(axes: Axes, *, summary: RunSummary) -> Marks:
    """Code against general retention: a curve for each spot, and one for each kind of its controls."""
    axes.axvspan(KEPT, 2, color=MUTED, alpha=0.1, linewidth=0)
    axes.plot([-1, 2], [-1, 2], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    handles: list[Line2D | Patch] = []
    labels = PointLabels()
    series = []
    for index, spot in enumerate(summary.plan.spots()):
        colour, marker = SPOTS[index % len(SPOTS)], MARKERS[index % len(MARKERS)]
        cells = summary.of(spot)
        curve = _with_original(_points(cells, _general, _code))
        artists: list[Artist] = [*axes.plot(*curve, color=colour, marker=marker, zorder=4)]
        labels.avoid(*curve)
        for cell in cells:
            crossed, lines = _cross(axes, cell, colour)
            artists += lines
            labels.avoid(*crossed)
            for x, y in _points([cell], _general, _code):
                if math.dist((x, y), (1, 1)) > _UNMOVED:  # where many doses of many spots are on one another
                    labels.add(x, y, dose(cell.cell.k_percent), colour, artists)
        named = (
            (x, y, (spot, dose(cell.cell.k_percent), *_with_bounds(cell, _CODE), *_with_bounds(cell, _GENERAL)), cell)
            for cell in cells
            for x, y in _points([cell], _general, _code)
        )
        points = tuple(Point(x, y, values, cell.cell.name) for x, y, values, cell in named)
        series.append(Series(_PAIR, points, {"Spot": spot, "Edited": "spot"}, artists))
        handles.append(Line2D([], [], color=colour, marker=marker, label=f"{spot} (scope {cells[0].cell.scope})"))
        for control in summary.controls(spot):
            what = control_label(control)
            means = {k: _mean_point(summary.at(spot, control, k)) for k in summary.doses(spot)}
            drawn = {k: point for k, point in means.items() if point is not None}
            control_curve = _with_original(list(drawn.values()))
            labels.avoid(*control_curve)
            lines = axes.plot(*control_curve, color=colour, **_control_style(summary, control))
            points = tuple(
                Point(x, y, (f"{spot}: {what}", dose(k), fixed(y, 2), "", fixed(x, 2), ""))
                for k, (x, y) in drawn.items()
            )
            series.append(Series(_PAIR, points, {"Spot": spot, "Edited": what}, [*lines]))
            handles.append(Line2D([], [], color=colour, label=f"{spot}: {what}", **_control_style(summary, control)))
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
    return Marks(tuple(series))


def _control_style(summary: RunSummary, control: Control) -> dict[str, Any]:
    """Line and marker of a kind of control, the same in every panel of a report."""
    shown = dict.fromkeys(c for spot in summary.plan.spots() for c in summary.controls(spot))
    alike = [other for other in shown if _kind(other) == _kind(control)]
    linestyle, markers = _CONTROLS[_kind(control)]
    return {"linestyle": linestyle, "marker": markers[alike.index(control) % len(markers)], **_THIN}


def _kind(control: Control) -> str:
    traits = CONTROLS.traits_if_known(control)
    return "matched" if traits.matched else "drawn" if traits.drawn else ""


def draw_perplexity(axes: Axes, *, summary: RunSummary, spot: str) -> Marks:
    """Perplexity ratio against k: the scored languages as a band, other domains as lines."""
    cells = summary.of(spot)
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.axhline(PERPLEXITY_LIMIT, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    handles: list[Line2D | Patch] = []
    series = []
    scored = [d.name for d in summary.plan.domains if d.kind == "code" and not d.held_out]
    if scored:
        ratios = [(c, [c.perplexity_ratio[name] for name in scored]) for c in cells]
        finite = [(c.cell, min(values), max(values)) for c, values in ratios if all(map(math.isfinite, values))]
        label = plural(len(scored), "scored language")
        style: dict[str, Any] = {"color": CODE, "alpha": 2 * BAND_ALPHA, "linewidth": 0}
        ks = [cell.k_percent for cell, _, _ in finite]
        band = axes.fill_between(ks, [low for _, low, _ in finite], [high for _, _, high in finite], **style)
        handles.append(Patch(label=label, **style))
        points = [
            Point(cell.k_percent, high, (label, dose(cell.k_percent), f"{_times(low)} to {_times(high)}"), cell.name)
            for cell, low, high in finite
        ]
        series.append(Series(_RATIO, tuple(points), {"Spot": spot, "Domain": label}, [band]))
    for index, domain in enumerate(d for d in summary.plan.domains if d.name not in scored):
        colour = CODE if domain.kind == "code" else GENERAL
        label = f"{domain_label(domain.name)}{' (held out)' if domain.held_out else ''}"
        values = [(c.cell, c.perplexity_ratio[domain.name]) for c in cells]
        points = [
            Point(cell.k_percent, value, (label, dose(cell.k_percent), _times(value)), cell.name)
            for cell, value in values
            if math.isfinite(value)
        ]
        style = {"color": colour, "marker": MARKERS[index % len(MARKERS)]}
        lines = axes.plot([point.x for point in points], [point.y for point in points], **style)
        series.append(Series(_RATIO, tuple(points), {"Spot": spot, "Domain": label}, [*lines]))
        handles.append(Line2D([], [], label=label, **style))
    _dose_axis(axes, summary.doses(spot))
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.9), max(high, 4.5))
    ticks = decades(1, high) if high > 100 else [1, 2, 5, 10, 20, 50] if high > 6 else [1, 1.5, 2, 3, 4, 5]
    ticks = [tick for tick in ticks if tick < max(high, 4.5)]
    set_ticks(axes.yaxis, ticks, [f"{number}×" for number in write_numbers(ticks)])
    axes.set_ylabel("perplexity over the original's")
    legend_below(axes, handles, columns=3)
    return Marks(tuple(series), summary.doses(spot))


def _curve_with_band(axes: Axes, summary: RunSummary, spot: str, ability: _Ability, *, width: float) -> Series:
    known = [(c, value) for c in summary.of(spot) if (value := ability.value(c)) is not None]
    ranges = [(c.cell.k_percent, bounds) for c in summary.of(spot) if (bounds := ability.interval(c)) is not None]
    band = axes.fill_between(
        [k for k, _ in ranges],
        [interval.low for _, interval in ranges],
        [interval.high for _, interval in ranges],
        color=ability.colour,
        alpha=BAND_ALPHA,
        linewidth=0,
    )
    lines = axes.plot(
        [c.cell.k_percent for c, _ in known],
        [value for _, value in known],
        color=ability.colour,
        marker="o",
        zorder=4,
        linewidth=width,
        markersize=3 + width,
    )
    points = (
        Point(c.cell.k_percent, value, (ability.name, dose(c.cell.k_percent), *_with_bounds(c, ability)), c.cell.name)
        for c, value in known
    )
    return Series(_CURVE, tuple(points), {"Spot": spot, "Ability": ability.name, "Edited": "spot"}, [band, *lines])


def _control_curve(axes: Axes, summary: RunSummary, spot: str, control: Control, ability: _Ability) -> Series:
    by_dose = {k: _values(summary.at(spot, control, k), ability.value) for k in summary.doses(spot)}
    drawn = {k: values for k, values in by_dose.items() if values}
    means = {k: fmean(values) for k, values in drawn.items()}
    ranges = {k: (min(means[k], *values), max(means[k], *values)) for k, values in drawn.items()}
    artists: list[Artist] = []
    for k, bounds in ranges.items():
        artists += axes.plot([k, k], bounds, color=ability.colour, linewidth=0.9, zorder=3)
    style = _control_style(summary, control)
    artists += axes.plot(list(means), list(means.values()), color=ability.colour, zorder=3, **style)
    what = control_label(control)
    points = (
        Point(k, mean, (f"{ability.name}: {what}", dose(k), fixed(mean, 2), _bounds(*ranges[k])))
        for k, mean in means.items()
    )
    return Series(_DRAWN, tuple(points), {"Spot": spot, "Ability": ability.name, "Edited": what}, artists)


def _with_bounds(cell: CellSummary, ability: _Ability) -> tuple[str, str]:
    """A retention and its interval, in words; empty where there is none."""
    value, interval = ability.value(cell), ability.interval(cell)
    return "" if value is None else fixed(value, 2), "" if interval is None else _bounds(interval.low, interval.high)


def _times(factor: float) -> str:
    return f"{factor:,.0f}×" if 1e5 <= factor < 1e12 else f"{ratio(factor)}×"


def _bounds(low: float, high: float) -> str:
    return f"{fixed(low, 2)} to {fixed(high, 2)}"


def _cross(axes: Axes, cell: CellSummary, colour: str) -> tuple[tuple[list[float], list[float]], list[Line2D]]:
    """Draw the two intervals of one cell around its point; returns the path, and what drew it."""
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
    return (xs, ys), axes.plot(xs, ys, color=colour, alpha=0.45, linewidth=0.9)


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


class _Ability(NamedTuple):
    """An ability's name, colour, retention and interval."""

    name: str
    colour: str
    value: _Value
    interval: _Range


_CODE: Final = _Ability("code", CODE, _code, _code_interval)
_GENERAL: Final = _Ability("general", GENERAL, _general, _general_interval)
