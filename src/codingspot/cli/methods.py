"""What there is to choose from in a study file, whoever registered it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.styled import Styled
from rich.text import Text

from codingspot.cli.console import AsJson, friendly_errors, out, print_json

if TYPE_CHECKING:
    from codingspot.catalogue import Method


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(methods)


def methods(
    sort: Annotated[
        str | None,
        typer.Argument(help="One sort, such as recipe or view; all where not given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List estimators, recipes, scopes, edits, controls, benchmark methods, views, analyses, exports and tasks.

    Those of installed packages are among them, each with the package it comes from.

    Example: codingspot methods recipe
    """
    with friendly_errors():
        from codingspot.catalogue import catalogue
        from codingspot.errors import StudyError
        from codingspot.registry import plural

        found = catalogue()
        sorts = list(dict.fromkeys(method.sort for method in found))
        if sort is not None and sort not in sorts:
            raise StudyError(f"there is no sort of method {sort!r}; use one of {', '.join(sorts)}")
        chosen = [method for method in found if sort in (None, method.sort)]
        if as_json:
            print_json([asdict(method) for method in chosen])
            return
        for name in sorts:
            group = [method for method in chosen if method.sort == name]
            if group:
                out.print(f"\n{plural(name).capitalize()}", style="bold")
            for method in group:
                _show(method)


def _show(method: Method) -> None:
    source = "" if method.source == "codingspot" else f"  {method.source}"
    out.print(Text.assemble(f"  {method.name}", (source, "cyan")))
    if method.error:
        _indented(method.error, "red")
        return
    _indented(method.summary, "dim")
    for parameter, about in method.parameters.items():
        default = f" = {about['default']}" if "default" in about else " (required)"
        _indented(f"{parameter}: {about['type']}{default}")


def _indented(text: str, style: str = "none") -> None:
    out.print(Padding.indent(Styled(text, style), 6))
