"""A command for each export, whoever registered it."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from codingspot.cli.console import AsJson, Force, StudyProgress, friendly_errors, out, print_json, setting_error
from codingspot.cli.listing import Group
from codingspot.cli.options import MODEL, PLACE, command, given_settings, option, settings_options
from codingspot.errors import StudyError
from codingspot.export import EXPORTS
from codingspot.export.export import ExportTraits, Given
from codingspot.models.section import ModelSection
from codingspot.settings import Settings

_SPOT = Annotated[Path, typer.Argument(**PLACE, help="A spot made by `codingspot spot`, `units` or `run`.")]
_FOLDER = Annotated[Path, typer.Option("--out", "-o", **PLACE, help="Folder that is written.")]
_FILE = Annotated[Path, typer.Option("--out", "-o", **PLACE, help="File that is written.")]
_UNREAD = ("id", "dtype", "device", "device_map", "attention", "bos")
"""Of a model whose files are read and which isn't run."""


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(
        cls=Group, no_args_is_help=True, help="Write a spot as what other tools load.", rich_markup_mode=None
    )
    app.add_typer(group, name="export")
    for name in EXPORTS:
        try:
            settings = EXPORTS[name]
        except StudyError:  # of a faulty package, which `codingspot methods` shows
            continue
        about = inspect.getdoc(settings) or ""
        group.command(name)(command(partial(_run, name), _parameters(settings, EXPORTS.traits(name)), name, about))


def _parameters(settings: type[Settings], traits: ExportTraits) -> list[inspect.Parameter]:
    read = {"spot": option("spot", _SPOT), "model": option("model", MODEL)}
    return [
        *(read[each] for each in traits.reads),
        option("place", _FOLDER if traits.writes == "folder" else _FILE),
        *settings_options(settings),
        *(settings_options(ModelSection, but=["id"] if traits.runs else _UNREAD) if "model" in traits.reads else ()),
        option("force", Force, False),
        option("as_json", AsJson, False),
    ]


def _run(name: str, place: Path, force: bool, as_json: bool, **options: Any) -> None:
    """Write one export, and say what was written."""
    kind = EXPORTS[name]
    with friendly_errors():
        with setting_error(kind):
            settings = kind.model_validate(given_settings(kind, options))
        model = None
        if "model" in options:
            with setting_error(ModelSection):
                of_model = {**given_settings(ModelSection, options), "id": options["model"]}
                model = ModelSection.model_validate(of_model)
        traits, given = EXPORTS.traits(name), Given(options.get("spot"), model)
        with EXPORTS.at_work(name), ExitStack() as stack:
            if traits.runs:
                given = replace(given, tell=stack.enter_context(StudyProgress()).shares())
            found = traits.load()(given, settings, place, force)
        if as_json:
            print_json(dict(found.record))
            return
        for line in found.lines:
            out.print(line, soft_wrap=True)
