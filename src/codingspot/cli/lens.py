"""The logit lens: codingspot lens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import StudyProgress, friendly_errors, out, print_json, setting_error
from codingspot.cli.texts import Bos, Parallel, parallel_source

if TYPE_CHECKING:  # loading torch takes seconds, which `--help` should not
    from codingspot.lens import LensAnalysis

_SHOWN_LAYERS = 9


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(lens)


def lens(
    model: Annotated[
        str, typer.Argument(help="Hub id, folder, GGUF file, or the shipped 'testbed' or 'testbed-routed'.")
    ] = "testbed",
    directory: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; resumed where it holds the same analysis.")
    ] = None,
    parallel: Parallel = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="A language of the file; repeat. All by default.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="First rows of the file; all by default.", min=2)] = None,
    shots: Annotated[int, typer.Option(help="Translations shown before each.", min=0)] = 3,
    items: Annotated[int, typer.Option(help="Translations a pair of languages.", min=1)] = 10,
    generated: Annotated[
        int, typer.Option(help="Of them, how many the model writes itself, to see in which language.", min=0)
    ] = 0,
    keywords: Annotated[
        Path | None, typer.Option(help="Folder of keyword files (name, keywords); from grammars by default.")
    ] = None,
    english: Annotated[int, typer.Option(help="Most frequent English words.", min=0)] = 10_000,
    example: Annotated[
        tuple[str, str] | None, typer.Option(help="Source and target of the example shown as a page.")
    ] = None,
    tuned_lens: Annotated[Path | None, typer.Option(help="A safetensors file with a tuned lens.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Most padded tokens of a forward pass.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of rows and shots.")] = 0,
    bos: Bos = "tokenizer",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decode every layer while the model translates code (logit lens).

    Hidden states at each position of the answer go through the model's own final norm and output head: which tokens
    each layer would give, and how many are keywords of which language, or English.

    Example: codingspot lens testbed --generated 4 --out runs/lens

    Example: codingspot lens my-model --parallel parallel.jsonl.gz --keywords keywords --example Java Python
    """
    with friendly_errors("the same command resumes where it stopped"), setting_error():
        from codingspot.directories import held
        from codingspot.files import write_text
        from codingspot.lens import LensSettings
        from codingspot.models import input_places, load_model
        from codingspot.report.lens_table import example_page
        from codingspot.study.views import study_lens

        settings = LensSettings(
            parallel=parallel_source(model, parallel),
            languages=tuple(language) if language else None,
            rows=rows,
            shots=shots,
            items=items,
            generated=generated,
            keywords=None if keywords is None else str(keywords),
            english=english,
            example=example,
            tuned_lens=None if tuned_lens is None else str(tuned_lens),
            seed=seed,
        )
        place = directory or Path("runs/lens")
        page = place / "lens.html"
        with held(place, inputs=input_places(model, parallel, keywords, tuned_lens)), StudyProgress() as progress:
            progress.stage("loading the model")
            loaded = load_model(model, device=device, bos=bos)
            found = study_lens(loaded, settings, place, batch_tokens=batch_tokens, say=progress.shares())
            write_text(page, example_page(found.example, str(found.inputs["model"])))
        if as_json:
            print_json(_plain(found))
            return
        _print(found)
        out.print(f"Example: {page}\nTables: {place / 'analysis'}", soft_wrap=True)


def _plain(found: LensAnalysis) -> dict[str, Any]:
    from codingspot.lens import keyword_layers
    from codingspot.neurons import records

    return {
        "inputs": found.inputs,
        "keyword_layers": records(keyword_layers(found.sets, found.targets)),
        "targets": records(found.targets),
        "generation": records(found.generation),
        "token_sets": records(found.keywords),
    }


def _print(found: LensAnalysis) -> None:
    from codingspot.lens import ENGLISH, SHARED, keyword_layers

    layers = sorted(found.targets["layer"].unique())
    step = -(-len(layers) // _SHOWN_LAYERS)
    shown = sorted({*layers[::step], layers[-1]})
    out.print(f"{found.inputs['model']}: what each layer would say next", style="bold", soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("layer", *map(str, shown), "chance"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    targets = found.targets.groupby("layer")[["first", "probability", "rank", "entropy"]].mean()
    for words, key, form in (
        ("answer is first", "first", "{:.2f}"),
        ("probability of answer", "probability", "{:.2f}"),
        ("rank of answer", "rank", "{:.0f}"),
        ("entropy (nats)", "entropy", "{:.2f}"),
    ):
        table.add_row(words, *(form.format(targets.loc[layer, key]) for layer in shown))
    for words, rows in (
        ("target's keywords", found.sets[found.sets["set"] == found.sets["target"]]),
        ("source's keywords", found.sets[found.sets["set"] == found.sets["source"]]),
        ("shared keywords", found.sets[found.sets["set"] == SHARED]),
        ("English words", found.sets[found.sets["set"] == ENGLISH]),
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
    where = keyword_layers(found.sets, found.targets)
    of = where[where["set"] == "keywords"]
    out.print("\nTarget language: layer at which its keywords appear, and the answer is first", style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("target", "appear", "peak", "probability", "answer first from"):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    for row in of.to_dict("records"):
        first = "never" if row["first"] < 0 else str(row["first"])
        table.add_row(row["target"], str(row["appears"]), str(row["peak"]), f"{row['largest']:.3f}", first)
    out.print(table)
    skipped = found.keywords.loc[found.keywords["tokens"] == 0, "set"].tolist()
    if skipped:
        out.print(f"no keyword that is a single token: {', '.join(skipped)}", style="dim")
    if len(found.generation):
        _print_generation(found)


def _print_generation(found: LensAnalysis) -> None:
    out.print("\nAnswers the model wrote itself, by language", style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("judged by", "answers", "target", "source", "other", "undecided", "most often instead"):
        table.add_column(heading, justify="left" if heading == "judged by" else "right")
    for method, group in found.generation.groupby("method", sort=False):
        right = group["found"] == group["target"]
        source = group["found"] == group["source"]
        open_ = group["found"] == "undecided"
        wrong = group[~right & ~open_].groupby("found")["answers"].sum()
        total = group["answers"].sum()
        counts = [int(group.loc[which, "answers"].sum()) for which in (right, source, ~right & ~source & ~open_, open_)]
        table.add_row(str(method), str(total), *map(str, counts), str(wrong.idxmax()) if len(wrong) else "-")
    out.print(table)
    out.print("reference: the same judgement of the parallel code itself", style="dim")
