"""What ``codingspot neurons`` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from codingspot.tables import records
from codingspot.views import Found
from codingspot.views.neurons.ablation import diagonal_and_rest
from codingspot.views.neurons.summary import compare, differing_inputs, domain_summary, sweep_summary

_COLUMNS: Final = 8


def show_neurons(analysis: Found, others: Sequence[Found], out: Console) -> None:
    """Print the analysis, and beside it those of other models."""
    _print(analysis, out)
    if others:
        _print_comparison([analysis, *others], out)


def _table(out: Console, title: str, *headings: str) -> Table:
    out.print(title, style="bold", soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _print(analysis: Found, out: Console) -> None:
    chosen = analysis.inputs["settings"]["selection"]
    layers = analysis["neurons_layers"]
    layers = layers[layers["selection"] == chosen]
    deepest = int(layers["layer"].max())
    step = math.ceil((deepest + 1) / _COLUMNS)
    starts = range(0, deepest + 1, step)
    heads = [str(first) if step == 1 else f"{first}-{min(first + step - 1, deepest)}" for first in starts]
    table = _table(
        out, f"{analysis.inputs['model']}: specific neurons ({chosen}) by layer", "domain", "all", "only", *heads
    )
    for domain, group in layers.groupby("domain", sort=False):
        counts = [int(group.loc[group["layer"].between(first, first + step - 1), "specific"].sum()) for first in starts]
        exclusive = int(group["exclusive"].sum())
        table.add_row(str(domain), str(sum(counts)), str(exclusive), *(str(count or "·") for count in counts))
    out.print(table)
    out.print("only: specific to no other domain\n", style="dim")

    table = _table(
        out, "Change of perplexity with neurons silent", "domain", "own", "others", "random, own", "random, others"
    )
    for row in domain_summary(analysis).to_dict("records"):
        table.add_row(row["domain"], *(_ratio(row[key]) for key in ("own", "others", "random_own", "random_others")))
    means = {row["silent"]: row for row in diagonal_and_rest(analysis["neurons_ablation"]).to_dict("records")}
    values = [means[key][kind] for key in ("neurons", "random") if key in means for kind in ("own", "others")]
    table.add_row("mean", *map(_ratio, values), style="bold")
    out.print(table)
    out.print("random: neurons of the same layers that are active as often, mean of all draws\n", style="dim")
    _print_tasks(analysis, out)
    _print_sweep(analysis, out)


def _print_sweep(analysis: Found, out: Console) -> None:
    quantile = analysis.inputs["settings"]["quantile"]
    table = _table(out, "How firm the sets are", "varied", "", "neurons", "Jaccard", "lowest")
    for row in sweep_summary(analysis).to_dict("records"):
        at = f"{row['quantile']:g}" if row["varied"] == "quantile" else f"{row['share']:.0%}"
        jaccard = (_score(row[key]) for key in ("jaccard", "lowest"))
        table.add_row(row["varied"], at, f"{row['selected']:,}", *jaccard)
    out.print(table)
    out.print(
        f"Jaccard index with the sets of all text at quantile {quantile:g}, mean and lowest domain\n", style="dim"
    )


def _print_tasks(analysis: Found, out: Console) -> None:
    tasks = analysis["neurons_tasks"]
    if not len(tasks):
        return
    own = tasks[tasks["control"] == ""]
    drawn = tasks[tasks["control"] != ""].groupby(["ablated", "task"])["rate"].mean()
    title = "Tasks with neurons silent: rate of items solved"
    table = _table(out, title, "domain", "task", "original", "silent", "random")
    for row in own.to_dict("records"):
        random = drawn.get((row["ablated"], row["task"]), float("nan"))
        rates = map(_score, (row["original"], row["rate"], random))
        table.add_row(row["ablated"], str(row["task"]).removeprefix("testbed_"), *rates)
    out.print(table)
    items = ", ".join(
        f"{row['items']:,} of {str(row['task']).removeprefix('testbed_')}"
        for row in own.drop_duplicates("task").to_dict("records")
    )
    out.print(f"items: {items}\n", style="dim", soft_wrap=True)


def _print_comparison(analyses: list[Found], out: Console) -> None:
    rows = records(compare(analyses))
    table = _table(out, "Models side by side", "", *(str(row["model"]).rstrip("/").rpartition("/")[2] for row in rows))
    words = {
        "neurons": "specific neurons, all domains",
        "exclusive_share": "share of them in one domain only",
        "depth": "mean depth (0: first layer, 1: last)",
        "exclusive_depth": "mean depth of exclusive ones",
        "specific_sharing": "specific neurons shared, mean Jaccard",
        "active_sharing": "active neurons shared, mean Jaccard",
        "own": "perplexity ratio, own neurons silent",
        "others": "the same, other domains",
        "random_own": "the same, random neurons",
    }
    for key, text in words.items():
        table.add_row(text, *(f"{row[key]:,}" if key == "neurons" else _score(row[key]) for row in rows))
    out.print(table)
    differing = differing_inputs(analyses)
    if differing:
        out.print(f"not made alike: {', '.join(differing)} differ", style="yellow", soft_wrap=True)
    out.print()


def _score(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


def _ratio(value: float) -> str:
    change = 100 * (value - 1)
    if value != value:
        return "-"
    return f"{change:+.2f}%".replace("-0.00", "+0.00") if abs(change) < 100 else f"{change:+.0f}%"
