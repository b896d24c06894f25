"""The density of a spot by layer and module, drawn as a table of shaded cells."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from codingspot.models.roles import SCOPES, Role
from codingspot.report.labels import MISSING, fixed
from codingspot.report.marks import Marks, Point, Series
from codingspot.report.squares import bare, shaded_cell
from codingspot.report.theme import MUTED

_KINDS: Final = ("q", "k", "v", "qkv", "o", "gate", "up", "gate_up", "down", "router", "norm", "other")
_OUTSIDE: Final = ("embedding", "position", "norm", "head", "other")
_OUTSIDE_LABELS: Final = {"position": "positions", "norm": "final norm", "head": "output head"}
_COLUMN_INCHES: Final = 0.46
_ROW_INCHES: Final = 0.2
_NOTHING: Final = "·"
_COLUMNS: Final = ("Module", "In the spot", "Parameters", "By chance", "Times chance", "Of the module", "Of the spot")


def size_of(rows: pd.DataFrame) -> tuple[float, float]:
    """Width and height in inches of the panel that shows ``rows``."""
    inside = rows[rows["layer"].notna()]
    return 0.6 + _COLUMN_INCHES * max(inside["kind"].nunique(), 4), 1.4 + _ROW_INCHES * inside["layer"].nunique()


def draw_density(axes: Axes, *, rows: pd.DataFrame, spot: str, scope: str) -> Marks:
    """Shade each module of each layer by the share of its parameters in the spot, in percent.

    Args:
        axes: empty.
        rows: one a tensor: ``layer`` (missing outside the layers), ``block``, ``kind``, ``parameters``, ``selected``.
        spot: its name.
        scope: where the spot may lie, by which chance is reckoned.
    """
    total = max(int(rows["selected"].sum()), 1)
    eligible = rows["parameters"].where(_in_scope(rows, scope), 0)
    rows = rows.assign(chance=total * eligible / max(int(eligible.sum()), 1))
    points: list[Point] = []
    inside = {(int(layer), kind): found for (layer, kind), found in _pooled(rows, inside_layers=True).items()}
    outside = {kind: found for (kind,), found in _pooled(rows, inside_layers=False).items()}
    layers = sorted({layer for layer, _ in inside})
    kinds = [kind for kind in _KINDS if any(found == kind for _, found in inside)]
    highest = max((place.density for place in [*inside.values(), *outside.values()]), default=0.0)

    def cell(x: float, y: float, width: float, name: str, place: _Place, text: str) -> None:
        shade = (place.density / highest) ** 0.5 if highest else 0.0
        shaded_cell(axes, x, y, shade, text, width=width, fontsize=7.5)
        points.append(Point(x + width / 2, y + 0.5, (name, *_numbers(place, total))))

    for (layer, kind), place in sorted(inside.items(), key=lambda each: (each[0][0], kinds.index(each[0][1]))):
        cell(kinds.index(kind), layers.index(layer), 1, f"layer {layer}, {kind}", place, _percent(place.density))
    below = [kind for kind in _OUTSIDE if kind in outside]
    width = max(len(kinds), 1) / max(len(below), 1)
    for index, kind in enumerate(below):
        place = outside[kind]
        text = f"{_percent(place.density)} ({_percent(place.selected / total)}%)" if place.selected else _NOTHING
        cell(index * width, len(layers) + 0.9, width, _OUTSIDE_LABELS.get(kind, kind), place, text)
        axes.text(
            (index + 0.5) * width,
            len(layers) + 0.78,
            _OUTSIDE_LABELS.get(kind, kind),
            ha="center",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )
    heads = []
    for kind in kinds:
        share = sum(place.selected for (_, found), place in inside.items() if found == kind) / total
        heads.append(f"{kind}\n({_percent(share)}%)" if share else f"{kind}\n(none)")
    axes.set_xticks([index + 0.5 for index in range(len(kinds))], heads)
    axes.set_xlim(0, max(len(kinds), 1))
    axes.set_ylim(len(layers) + 2, 0)
    axes.set_yticks([index + 0.5 for index in range(len(layers))], [str(layer) for layer in layers])
    axes.set_ylabel("layer")
    axes.yaxis.set_label_coords(-0.07, 1 - 0.5 * len(layers) / (len(layers) + 2))
    bare(axes)
    return Marks((Series(_COLUMNS, tuple(points), {"Spot": spot}),))


def _in_scope(rows: pd.DataFrame, scope: str) -> pd.Series[bool]:
    """Whether a spot of the scope may lie in each tensor; in all of them where the scope isn't known here."""
    columns = (rows[name].tolist() for name in ("layer", "block", "kind"))
    roles = (
        Role(None if pd.isna(layer) else int(layer), block, kind) for layer, block, kind in zip(*columns, strict=True)
    )
    inside = [scope not in SCOPES or SCOPES[scope](role) for role in roles]
    return pd.Series(inside, index=rows.index, dtype=bool)


class _Place(NamedTuple):
    """Several tensors of one place (a matrix and its bias, experts) taken together."""

    density: float
    selected: int
    parameters: int
    chance: float


def _numbers(place: _Place, total: int) -> tuple[str, ...]:
    """What stands under ``_COLUMNS`` but the first; ``total`` is the spot's size."""
    times = fixed(place.selected / place.chance, 2) if place.chance else MISSING
    counts = f"{place.selected:,}", f"{place.parameters:,}", f"{place.chance:,.0f}"
    shares = (f"{_percent(share)}%" if share else "0%" for share in (place.density, place.selected / total))
    return (*counts, times, *shares)


def _pooled(rows: pd.DataFrame, *, inside_layers: bool) -> dict[tuple[Any, ...], _Place]:
    """Each (layer, kind) of the layers, or each (kind,) outside them."""
    keys = ["layer", "kind"] if inside_layers else ["kind"]
    summed = ["selected", "parameters", "chance"]
    sums = rows[rows["layer"].notna() == inside_layers].groupby(keys, as_index=False)[summed].sum()
    columns = [sums[name].tolist() for name in (*keys, *summed)]
    return {
        tuple(place): _Place(selected / parameters, int(selected), int(parameters), float(chance))
        for *place, selected, parameters, chance in zip(*columns, strict=True)
    }


def _percent(share: float) -> str:
    """A share (0-1) in percent, to two digits, without the sign; a dot for nothing at all."""
    if share == 0:
        return _NOTHING
    value = 100 * share
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.1g}"
