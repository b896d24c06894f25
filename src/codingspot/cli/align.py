"""Alignment of programming languages: codingspot align."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import StudyProgress, friendly_errors, out, print_json, setting_error
from codingspot.cli.texts import Bos, Parallel, parallel_source

if TYPE_CHECKING:  # loading torch takes seconds, which `--help` should not
    from codingspot.alignment import Alignment

_SHOWN_LAYERS = 12


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(align)


def align(
    model: Annotated[
        str, typer.Argument(help="Hub id, folder, GGUF file, or the shipped 'testbed' or 'testbed-routed'.")
    ] = "testbed",
    directory: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; read where it holds the same analysis.")
    ] = None,
    parallel: Parallel = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="A language of the file; repeat. All by default.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="First rows of the file; all by default.", min=2)] = None,
    pooling: Annotated[str, typer.Option(help="Of a text's tokens: weighted (by position) or last.")] = "weighted",
    special_tokens: Annotated[
        str, typer.Option(help="Of the tokenizer's own tokens: pooled, unpooled (read only) or none.")
    ] = "pooled",
    batch_tokens: Annotated[int | None, typer.Option(help="Most padded tokens of a forward pass.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the testbed's programs.")] = 0,
    bos: Bos = "tokenizer",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how well languages are aligned in every layer (MEXA).

    A row of parallel code scores where its text in one language is closer to its own text in the other than to any
    other row's, and the other way round.

    Example: codingspot align testbed --out runs/align

    Example: codingspot align my-model --parallel parallel.jsonl.gz -l C -l Java -l Python
    """
    with friendly_errors(), setting_error():
        from codingspot.alignment import AlignSettings
        from codingspot.directories import held
        from codingspot.models import input_places, load_model
        from codingspot.study.views import study_alignment

        settings = AlignSettings.model_validate(
            {
                "parallel": parallel_source(model, parallel),
                "languages": tuple(language) if language else None,
                "rows": rows,
                "pooling": pooling,
                "special_tokens": special_tokens,
                "seed": seed,
            }
        )
        place = directory or Path("runs/align")
        with held(place, inputs=input_places(model, parallel)), StudyProgress() as progress:
            progress.stage("loading the model")
            loaded = load_model(model, device=device, bos=bos)
            found = study_alignment(loaded, settings, place, batch_tokens=batch_tokens, say=progress.shares())
        if as_json:
            print_json(_plain(found))
            return
        _print(found)
        out.print(f"Tables: {place / 'analysis'}", soft_wrap=True)


def _plain(found: Alignment) -> dict[str, Any]:
    from pandas import DataFrame

    from codingspot.alignment import extremes
    from codingspot.neurons import records

    closest, farthest = (records(DataFrame([row]))[0] for row in extremes(found))
    return {
        "inputs": dict(found.inputs),
        "closest": closest,
        "farthest": farthest,
        "pairs": records(found.pooled),
        "texts": records(found.texts),
    }


def _print(found: Alignment) -> None:
    from codingspot.alignment import DISTINCT_ROWS, extremes, language_means

    languages = [str(each) for each in found.inputs["languages"]]
    pooled = found.pooled[found.pooled["pairs"] == DISTINCT_ROWS]
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
        every = found.pooled[(found.pooled["first"] == row["first"]) & (found.pooled["second"] == row["second"])]
        raw = float(every.loc[every["pairs"] != DISTINCT_ROWS, "mean"].iloc[0])
        out.print(
            f"{word}: {row['first']} and {row['second']}, {row['mean']:.2f} over {row['rows']} rows, "
            f"{row['max']:.2f} in layer {row['best_layer']}; {raw:.2f} with repeated and "
            f"{row['identical']} identical rows",
            soft_wrap=True,
        )
    curve = language_means(found.scores)
    by_layer = curve[curve["pairs"] == DISTINCT_ROWS].groupby("layer")["score"].mean()
    chance = found.scores[found.scores["pairs"] == DISTINCT_ROWS].groupby("layer")["null_high"].mean()
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
