"""What ``codingspot align`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, Final

from pandas import DataFrame
from rich.console import Console
from rich.table import Table

from codingspot.tables import records
from codingspot.views import Found
from codingspot.views.mexa.align import DISTINCT_ROWS, extremes, language_means

_SHOWN_LAYERS: Final = 12


def told(found: Found, _others: Sequence[Found]) -> dict[str, Any]:
    """The alignment as plain data."""
    closest, farthest = (records(DataFrame([row]))[0] for row in extremes(found))
    return {
        "inputs": dict(found.inputs),
        "closest": closest,
        "farthest": farthest,
        "pairs": records(found["alignment_pooled"]),
        "texts": records(found["alignment_texts"]),
    }


def show_alignment(found: Found, _others: Sequence[Found], out: Console) -> None:
    """Print the pairs, the closest and the farthest, and the mean by layer."""
    languages = [str(each) for each in found.inputs["languages"]]
    pooled = found["alignment_pooled"][found["alignment_pooled"]["pairs"] == DISTINCT_ROWS]
    means = {tuple(names): mean for *names, mean in pooled[["first", "second", "mean"]].itertuples(index=False)}
    out.print(
        f"{found.inputs['model']}: alignment of distinct texts, %, mean over layers", style="bold", soft_wrap=True
    )
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for number in range(1, len(languages)):
        table.add_column(str(number), justify="right")
    for number, language in enumerate(languages):
        scores = [float(means[other, language]) for other in languages[:number]]
        table.add_row(f"{number + 1} {language}", *("-" if isnan(score) else f"{100 * score:.0f}" for score in scores))
    out.print(table)
    for reason, count in found.inputs["skipped"].items():
        out.print(f"left out: {count:,} rows, {reason}", style="dim", soft_wrap=True)
    for word, row in zip(("closest", "farthest"), extremes(found), strict=True):
        every = found["alignment_pooled"][
            (found["alignment_pooled"]["first"] == row["first"])
            & (found["alignment_pooled"]["second"] == row["second"])
        ]
        raw = float(every.loc[every["pairs"] != DISTINCT_ROWS, "mean"].iloc[0])
        out.print(
            f"{word}: {row['first']} and {row['second']}, {row['mean']:.2f} over {row['rows']} rows, "
            f"{row['max']:.2f} in layer {row['best_layer']}; {raw:.2f} with repeated and "
            f"{row['identical']} identical rows",
            soft_wrap=True,
        )
    curve = language_means(found["alignment"])
    by_layer = curve[curve["pairs"] == DISTINCT_ROWS].groupby("layer")["score"].mean()
    chance = found["alignment"][found["alignment"]["pairs"] == DISTINCT_ROWS].groupby("layer")["null_high"].mean()
    step = -(-len(by_layer) // _SHOWN_LAYERS)
    table = Table(box=None, padding=(0, 1, 0, 0))
    layers = list(by_layer.index)[::step]
    for heading in ("layer", *map(str, layers)):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    table.add_row("mean", *(f"{by_layer[layer]:.2f}" for layer in layers))
    table.add_row("chance", *(f"{chance[layer]:.2f}" for layer in layers))
    out.print("\nMean over pairs of languages", style="bold")
    out.print(table)
    out.print("layer 0: token embeddings; chance: 0.95 quantile under random pairing\n", style="dim")
