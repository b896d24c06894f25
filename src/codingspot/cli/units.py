"""The command ``units``: whole neurons, heads, key-value groups or layers as a spot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, Force, StudyProgress, friendly_errors, print_json, print_table, setting_error
from codingspot.cli.options import PLACE, takes_model
from codingspot.cli.texts import (
    Documents,
    General,
    HeldOut,
    Languages,
    OrderSeed,
    SequenceLength,
    Sources,
    TokenBudget,
    corpus_section,
)
from codingspot.models.section import ModelSection
from codingspot.settings_text import read_settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(takes_model(units))


def units(
    model: ModelSection,
    file: Annotated[Path, typer.Option("--out", "-o", **PLACE, help="File of the spot.")],
    corpus: Sources = None,
    language: Languages = None,
    general: General = None,
    held_out: HeldOut = None,
    documents: Documents = 0,
    unit: Annotated[str, typer.Option(help="neuron, head, group or layer.")] = "neuron",
    score: Annotated[str, typer.Option(help="What one does on a text; see `codingspot methods unit_score`.")] = "rms",
    contrast: Annotated[
        str, typer.Option(help="Code against general text: ratio, share, difference or none.")
    ] = "ratio",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A further parameter of recipe units, NAME=VALUE; repeat.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Which weights; see `codingspot methods scope`.")] = "blocks",
    k: Annotated[
        float, typer.Option("--k", help="Percentage of all parameters at most; smaller doses are prefixes.")
    ] = 1.0,
    token_budget: TokenBudget = 8192,
    sequence_length: SequenceLength = 256,
    seed: OrderSeed = 0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Select whole units by what they do on code and on general text, from one pass over it.

    Example: codingspot units testbed --unit head --score pls --contrast difference --k 3 --out heads.safetensors
    """
    from codingspot.errors import StudyError
    from codingspot.models import input_places
    from codingspot.outputs import check_file
    from codingspot.spot.recipes import RECIPES
    from codingspot.spot.spot import is_spot
    from codingspot.study.corpora import scoring_corpus
    from codingspot.study.spot_section import SpotSection
    from codingspot.units import find_units_spot

    with friendly_errors():
        check_file(file, is_spot, inputs=input_places(model.id, *(corpus or ())), force=force)
        further = read_settings(setting or [])
        if "token_budget" in further:
            raise StudyError("--set token_budget is an option here; give --token-budget")
        parameters = {"unit": unit, "score": score, "contrast": contrast, **further}
        RECIPES.traits("units", parameters)
        section = corpus_section(model.id, corpus, language, general, held_out or None, documents=documents, seed=seed)
        with setting_error():
            SpotSection.model_validate({"name": "units", "scope": scope, "k_percent": [k]})
        with StudyProgress() as progress:
            show = progress.shares()
            show("loading the model", 0.0)
            loaded = model.load()
            show("reading the corpus", 0.3)
            found = find_units_spot(
                loaded,
                scoring_corpus(section, loaded.tokenizer, token_budget),
                max_k_percent=k,
                scope=scope,
                token_budget=token_budget,
                sequence_length=sequence_length,
                seed=seed,
                **parameters,
            )
        found.spot.save(file, force=force)
        assert found.units is not None  # the recipe selects whole units
        chosen = found.units[found.units["selected"]].groupby("layer").size()
        every = found.units.groupby("layer").size()
        if as_json:
            layers = [
                {"layer": layer, "units": int(count), "selected": int(chosen.get(layer, 0))}
                for layer, count in every.items()
            ]
            print_json({"spot": str(file), "parameters": len(found.spot), "units": int(chosen.sum()), "layers": layers})
            return
        table = Table()
        for heading in ("layer", f"{unit}s", "selected"):
            table.add_column(heading, justify="right")
        for layer, count in every.items():
            table.add_row(str(layer), f"{count:,}", f"{chosen.get(layer, 0):,}")
        print_table(f"{file}: {int(chosen.sum()):,} {unit}s, {len(found.spot):,} parameters", table)
