"""Building a corpus from any source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import Force, err, friendly_errors, out, print_json, print_table
from codingspot.cli.texts import General

if TYPE_CHECKING:  # loading takes seconds, which `--help` should not
    from transformers import PreTrainedTokenizerBase

    from codingspot.corpus import Corpus
    from codingspot.corpus.schemas import Variant


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(corpus)


def corpus(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Hub ids (org/name, org/name@revision), files of rows (.jsonl, .jsonl.gz, .parquet), folders, text "
            "files, patterns; all of them together.",
            metavar="SOURCE...",
        ),
    ],
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus.")],
    language: Annotated[
        list[str] | None,
        typer.Option("--language", "-l", help="A programming language; repeat. Without it the paper's ten and Python."),
    ] = None,
    documents: Annotated[int, typer.Option(help="Texts a domain, at most; 0: all.", min=0)] = 1000,
    token_budget: Annotated[
        int | None, typer.Option(help="Tokens of --tokenizer after which a domain takes no more.", min=1)
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Hub id or folder of the model that counts tokens.")] = None,
    general: General = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(help="A domain left out of scoring; repeat. Python by default, where there is some."),
    ] = None,
    variant: Annotated[
        str, typer.Option(help="Of tiny-codes: paper (every fenced block) or released-code (the first, with its tag).")
    ] = "paper",
    purify: Annotated[
        bool, typer.Option("--purify/--no-purify", help="Whether comments, documentation and prose go from code.")
    ] = True,
    schema: Annotated[
        str | None,
        typer.Option(help="What rows mean, or 'domains' or 'files' for folders; seen from the data if left."),
    ] = None,
    domain: Annotated[str | None, typer.Option(help="The domain of all texts that don't name their own.")] = None,
    text_field: Annotated[str, typer.Option(help="Column of the text in rows of no known data set.")] = "text",
    domain_field: Annotated[str, typer.Option(help="Column of the domain in such rows.")] = "domain",
    config: Annotated[str | None, typer.Option(help="Configuration of a data set on the Hub.")] = None,
    split: Annotated[str | None, typer.Option(help="Its split.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of which texts are taken.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes that purify; the result is the same.", min=1)] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Build a corpus of pure code and general text, and print what is in it and what was dropped.

    Example: codingspot corpus nampdn-ai/tiny-codes wikimedia/wikipedia --out corpora/tiny

    Example: codingspot corpus my-project --schema files -l rust -l go --out corpora/mine
    """
    from codingspot.corpus import Choice, Source, open_corpus
    from codingspot.files import read_json
    from codingspot.outputs import check_folder

    with friendly_errors():
        check_folder(directory, inputs=sources, force=force)
        with err.status("reading") as status:

            def show(name: str, texts: int) -> None:
                status.update(f"reading {name}: {texts:,} texts")

            built = open_corpus(
                [
                    Source(source, schema, config, split, domain, text_field=text_field, domain_field=domain_field)
                    for source in sources
                ],
                languages=language or None,
                general=general or None,
                held_out=held_out or None,
                variant=_variant(variant),
                purified=purify,
                documents=documents or None,
                token_budget=token_budget,
                tokenizer=None if tokenizer is None else _tokenizer(tokenizer),
                seed=seed,
                workers=workers or os.cpu_count() or 1,
                progress=show,
            )
            if not held_out:  # Python too, as in the paper
                kept = [domain.name for domain in built.domains if domain.held_out or domain.name == "python"]
                built = Choice(held_out=kept).of(built)
            built.save(directory, force=force)
        if as_json:
            print_json(read_json(directory / "manifest.json"))
            return
        _print(built, directory)


def _print(built: Corpus, directory: Path) -> None:
    counted: dict[str, int] = built.made.get("tokens", {})
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("domain", "kind", "texts", "bytes", *(["tokens"] if counted else []), "dropped"):
        table.add_column(heading, justify="left" if heading in ("domain", "kind", "dropped") else "right")
    for one in built.domains:
        row = [
            f"{one.name} (held out)" if one.held_out else one.name,
            one.kind,
            f"{len(one.texts):,}",
            f"{sum(len(text.encode()) for text in one.texts):,}",
            *([f"{counted.get(one.name, 0):,}"] if counted else []),
            _counts(one.dropped),
        ]
        table.add_row(*row)
    print_table(f"{directory}: {built.name}", table)
    made: dict[str, Any] = dict(built.made)
    absent = [name for name in made.get("languages", ()) if name not in {one.name for one in built.domains}]
    if absent:
        out.print(f"no text: {', '.join(absent)}", soft_wrap=True)
    if made.get("dropped"):
        out.print(f"dropped before they had a domain: {_counts(made['dropped'])}", soft_wrap=True)


def _counts(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in dropped.items()) or "-"


def _variant(name: str) -> Variant:
    from codingspot.errors import CorpusError

    if name == "paper":
        return "paper"
    if name == "released-code":
        return "released-code"
    raise CorpusError(f"unknown variant {name!r}; use paper or released-code")


def _tokenizer(model: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    from codingspot.errors import ModelError
    from codingspot.models import model_source

    source = model_source(model)
    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model} has no tokenizer that can be loaded ({' '.join(str(error).split())[:200]}); correct it"
        ) from None
