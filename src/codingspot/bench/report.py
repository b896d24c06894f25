"""The benchmark's table and figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from codingspot.bench.run import DOSES, bench_directory
from codingspot.files import write_text
from codingspot.report.drawing import Panel, Picture, save_picture
from codingspot.report.labels import dose, join_words
from codingspot.report.table import Column, Number, Row, Table, Value, to_csv, to_latex, to_markdown
from codingspot.report.theme import MARKERS, MUTED, SPOTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[Any, Any]

_COLUMNS = (
    ("precision_at_0.1", "P@0.1%"),
    ("precision_at_1", "P@1%"),
    ("precision_at_5", "P@5%"),
    ("average_precision_neurons", "AP neurons"),
    ("average_precision_heads", "AP heads"),
)
_GRADED = (
    ("graded_average_precision_neurons", "AP used neurons"),
    ("graded_average_precision_heads", "AP used heads"),
)


def write_bench_report(table: pd.DataFrame, out: Path) -> None:
    """Write ``bench.md``, ``bench.csv``, ``bench.tex`` and, where a model's ground truth is known, ``bench.png``."""
    with bench_directory(out):
        rendered, picture = bench_table(table), bench_picture(table)
        for suffix, text in (("md", to_markdown(rendered)), ("csv", to_csv(rendered)), ("tex", to_latex(rendered))):
            write_text(out / f"bench.{suffix}", text)
        if picture.panels:
            save_picture(picture, out)


def bench_table(table: pd.DataFrame) -> Table:
    """One row a method, best first by mean rank over all columns that compare methods; chance first of all."""
    models = [str(model) for model in dict.fromkeys(table["model"])]
    columns = [Column("estimator", "Estimator"), Column("recipe", "Recipe")]
    known = [(key, name) for key, name in (*_COLUMNS, *_GRADED) if key in table.columns and table[key].notna().any()]
    columns += [Column(key, header, "score") for key, header in known]
    columns += [Column(f"area_{model}", f"Area {model}", "score", has_range=True) for model in models]
    columns += [Column("tokens", "Tokens", "count"), Column("passes", "Passes", "score")]
    columns.append(Column("seconds", "Seconds", "count"))
    by_method: dict[tuple[str, str], dict[str, Record]] = {}
    for record in table.to_dict("records"):
        by_method.setdefault((record["estimator"], record["recipe"]), {})[record["model"]] = record
    rows = []
    for estimator, recipe in ranking(table):
        mine = by_method[estimator, recipe]
        values: list[Value] = [estimator, recipe, *(_least(mine, key) for key, _ in known)]
        values += [_area(mine, model) for model in models]
        values += [_first(mine, key) for key in ("tokens", "passes", "seconds")]
        rows.append(Row("", "", "control" if estimator == "chance" else "spot", tuple(values)))
    caption = (
        "Methods best first, by their mean rank over the columns of precision and area. Precision: share of the top k "
        "percent (of all parameters, inside the blocks) that lies in the subset coding was routed to; AP: average "
        "precision of ranking neurons and heads by the mean rank of their weights, again without those of the subset "
        "that code does not use; the least over routed models, as the mean over all orders of tied weights, chance in "
        "the first row. Area: of the curve of code against general retention with the top "
        f"{join_words([dose(k) for k in DOSES])} zeroed (1: all code goes and no general ability), with its 95% "
        "bootstrap interval over items. To rank one model: tokens of text, how many times they were run forward, and "
        "seconds."
    )
    return Table("bench", "Localisation methods", caption, tuple(columns), tuple(rows))


def ranking(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Estimator and recipe of every method, chance first, then by mean rank over precision and area columns."""
    wide = table.pivot_table(
        index=["estimator", "recipe"],
        columns="model",
        values=[key for key in (*(k for k, _ in _COLUMNS), "area") if key in table.columns],
        sort=False,
    )
    methods = wide[wide.index.get_level_values("estimator") != "chance"]
    order = methods.rank(ascending=False).mean(axis=1).sort_values(kind="stable").index
    chance = [key for key in wide.index if key[0] == "chance"]
    return [(str(estimator), str(recipe)) for estimator, recipe in (*chance, *order)]


def bench_picture(table: pd.DataFrame) -> Picture:
    """Specificity against ground truth: one point a method, one colour a recipe or registered method."""
    methods = table[table["estimator"] != "chance"]
    panels = []
    known = methods[methods["precision_at_1"].notna()] if "precision_at_1" in methods else methods.iloc[:0]
    routed = known[known["model"] == known["model"].iloc[0]] if len(known) else known
    if len(routed):
        level = table.loc[table["estimator"] == "chance", "precision_at_1"].dropna().max()
        panels.append(
            Panel(
                "Specific and in the right place?",
                "Specificity area on the routed model against the share of the top 1% inside the routed subset.",
                partial(_draw_truth, rows=routed, best=ranking(methods)[:5], level=float(level)),
                size=(5.0, 4.4),
            )
        )
    caption = (
        "Each point is one method on the first routed model, coloured by recipe or name, the five best by all columns "
        "named where there is room: right, more of its top 1% lies where coding was learned (dotted: chance); up, the "
        "more code it takes for the general ability it leaves."
    )
    return Picture("bench", "Specificity and ground truth", caption, tuple(panels))


def _draw_truth(axes: Axes, *, rows: pd.DataFrame, best: Sequence[tuple[str, str]], level: float) -> None:
    from codingspot.report.point_labels import PointLabels

    axes.axvline(level, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_xlim(0, 1.04)
    axes.set_ylim(-0.02, 1.14)  # room for labels
    labels = PointLabels()
    names = rows["recipe"].str.partition(" ")[0]  # a method's variants look like it
    for index, (name, group) in enumerate(rows.groupby(names, sort=False)):
        # After the last colour the first comes back with another marker.
        marker = MARKERS[(index + index // len(SPOTS)) % len(MARKERS)]
        colour = SPOTS[index % len(SPOTS)]
        xs, ys = group["precision_at_1"], group["area"]
        axes.plot(xs, ys, linestyle="none", label=str(name), color=colour, marker=marker)
        for x, y in zip(xs, ys, strict=True):
            labels.avoid([x, x], [y, y])
    for estimator, recipe in best:
        name = recipe.partition(" ")[0]
        for row in rows[(rows["estimator"] == estimator) & (rows["recipe"] == recipe)].to_dict("records"):
            labels.add(row["precision_at_1"], row["area"], estimator or name, MUTED, [])
    labels.place(axes)
    axes.set_xlabel("share of the top 1% in the routed subset")
    axes.set_ylabel("specificity area")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=7)


def _first(mine: Mapping[str, Record], key: str) -> Number:
    """A figure of the first model that has it."""
    return Number(next(_figures(mine, key), None))


def _least(mine: Mapping[str, Record], key: str) -> Number:
    """The smallest of all models' figures."""
    return Number(min(_figures(mine, key), default=None))


def _figures(mine: Mapping[str, Record], key: str) -> Iterator[float]:
    return (value for record in mine.values() if (value := _value(record, key)) is not None)


def _area(mine: Mapping[str, Record], model: str) -> Number:
    return Number(*(_value(mine.get(model, {}), key) for key in ("area", "area_low", "area_high")))


def _value(record: Record, key: str) -> float | None:
    value = record.get(key)
    return None if value is None or pd.isna(value) else float(value)


def table_lines(table: Table, keys: Sequence[str]) -> list[tuple[str, ...]]:
    """The rows of some columns as text, for a terminal."""
    from codingspot.report.table import main_text

    places = [index for index, column in enumerate(table.columns) if column.key in keys]
    return [tuple(main_text(row.values[i], table.columns[i]) for i in places) for row in table.rows]
