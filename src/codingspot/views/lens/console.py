"""What ``codingspot lens`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from codingspot.tables import records
from codingspot.views import Found
from codingspot.views.lens.analysis import keyword_layers
from codingspot.views.lens.keywords import ENGLISH, SHARED

_SHOWN_LAYERS: Final = 9


def told(found: Found, _others: Sequence[Found]) -> dict[str, Any]:
    """The readings as plain data."""
    return {
        "inputs": found.inputs,
        "keyword_layers": records(keyword_layers(found["lens_sets"], found["lens_targets"])),
        "targets": records(found["lens_targets"]),
        "generation": records(found["lens_generation"]),
        "token_sets": records(found["lens_keywords"]),
    }


def show_lens(found: Found, _others: Sequence[Found], out: Console) -> None:
    """Print what each layer would say, where keywords appear, and in which language the model answers."""
    layers = sorted(found["lens_targets"]["layer"].unique())
    step = -(-len(layers) // _SHOWN_LAYERS)
    shown = sorted({*layers[::step], layers[-1]})
    out.print(f"{found.inputs['model']}: what each layer would say next", style="bold", soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("layer", *map(str, shown), "chance"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    targets = found["lens_targets"].groupby("layer")[["first", "probability", "rank", "entropy"]].mean()
    for words, key, form in (
        ("answer is first", "first", "{:.2f}"),
        ("probability of answer", "probability", "{:.2f}"),
        ("rank of answer", "rank", "{:.0f}"),
        ("entropy (nats)", "entropy", "{:.2f}"),
    ):
        table.add_row(words, *(form.format(targets.loc[layer, key]) for layer in shown))
    for words, rows in (
        ("target's keywords", found["lens_sets"][found["lens_sets"]["set"] == found["lens_sets"]["target"]]),
        ("source's keywords", found["lens_sets"][found["lens_sets"]["set"] == found["lens_sets"]["source"]]),
        ("shared keywords", found["lens_sets"][found["lens_sets"]["set"] == SHARED]),
        ("English words", found["lens_sets"][found["lens_sets"]["set"] == ENGLISH]),
    ):
        every = rows[rows["kind"] == "all"]
        means = every.groupby("layer")["share"].mean()
        if len(means):
            chance = (every["probability"] / every["lift"]).mean()
            table.add_row(f"{words}", *(f"{means[layer]:.2f}" for layer in shown), f"{chance:.2f}")
    out.print(table)
    out.print("words: share of the ten most probable tokens; chance: of the vocabulary", style="dim")
    for reason, count in found.inputs["skipped"].items():
        out.print(f"left out: {count:,} rows, {reason}", style="dim", soft_wrap=True)
    where = keyword_layers(found["lens_sets"], found["lens_targets"])
    of = where[where["set"] == "keywords"]
    out.print("\nTarget language: layer at which its keywords appear, and the answer is first", style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("target", "appear", "peak", "probability", "answer first from"):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    for row in of.to_dict("records"):
        first = "never" if row["first"] < 0 else str(row["first"])
        table.add_row(row["target"], str(row["appears"]), str(row["peak"]), f"{row['largest']:.3f}", first)
    out.print(table)
    skipped = found["lens_keywords"].loc[found["lens_keywords"]["tokens"] == 0, "set"].tolist()
    if skipped:
        out.print(f"no keyword that is a single token: {', '.join(skipped)}", style="dim")
    if len(found["lens_generation"]):
        _print_generation(found, out)


def _print_generation(found: Found, out: Console) -> None:
    out.print("\nAnswers the model wrote itself, by language", style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("judged by", "answers", "target", "source", "other", "undecided", "most often instead"):
        table.add_column(heading, justify="left" if heading == "judged by" else "right")
    for method, group in found["lens_generation"].groupby("method", sort=False):
        right = group["found"] == group["target"]
        source = group["found"] == group["source"]
        open_ = group["found"] == "undecided"
        wrong = group[~right & ~open_].groupby("found")["answers"].sum()
        total = group["answers"].sum()
        counts = [int(group.loc[which, "answers"].sum()) for which in (right, source, ~right & ~source & ~open_, open_)]
        table.add_row(str(method), str(total), *map(str, counts), str(wrong.idxmax()) if len(wrong) else "-")
    out.print(table)
    out.print("reference: the same judgement of the parallel code itself", style="dim")
