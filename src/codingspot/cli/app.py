"""The root command and its groups."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import codingspot
from codingspot.cli import bench, corpus, diff, estimate, evaluate, export, roles, study, testbed, views
from codingspot.cli import methods as methods_command
from codingspot.cli import score as score_command
from codingspot.cli import spot as spot_command
from codingspot.cli import units as units_command
from codingspot.cli.console import friendly_errors, out
from codingspot.cli.listing import Group
from codingspot.extras import optional_packages


class _Commands(Group):
    """Commands that say in one line which package they need, wherever they import it."""

    def invoke(self, ctx: Any) -> Any:
        with friendly_errors(), optional_packages():
            return super().invoke(ctx)


app = typer.Typer(
    name="codingspot",
    cls=_Commands,
    help="Where in a language model's weights does the ability to code live, and how specific is that place?",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
study.register(app)
score_command.register(app)
spot_command.register(app)
evaluate.register(app)
units_command.register(app)
diff.register(app)
corpus.register(app)
estimate.register(app)
roles.register(app)
bench.register(app)
methods_command.register(app)
views.register(app)
export.register(app)
app.add_typer(testbed.app, name="testbed")


def _version(asked: bool) -> None:
    if asked:
        out.print(codingspot.__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find, ablate, control, report and export the Coding Spot of a causal language model."""
    del version
