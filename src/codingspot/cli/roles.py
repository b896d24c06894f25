"""What the parameters of a model are, from its configuration."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import friendly_errors, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(roles)


def roles(
    model: Annotated[
        str,
        typer.Argument(help="Hub id, folder with config.json, GGUF file, or a shipped model such as 'testbed'."),
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the model's own code, if it has some.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every parameter as JSON.")] = False,
) -> None:
    """Show what a model's parameters are: layer, block, kind, attention heads.

    Only the configuration is read, so it takes seconds for a model of any size.

    Example: codingspot roles meta-llama/Llama-3.2-3B-Instruct
    """
    from codingspot.models import configured_model, describe, kinds_table

    with friendly_errors():
        built = configured_model(model, revision=revision, trust_remote_code=trust_remote_code)
        structures = describe(built)
        if as_json:
            print_json([_record(name, one) for name, one in structures.items()])
            return
        table = kinds_table(structures.values())
        shown = Table(box=None, padding=(0, 1, 0, 0))
        for heading in ("block", "kind", "tensors", "layers", "parameters", "share", "heads"):
            shown.add_column(heading, justify="left" if heading in ("block", "kind", "heads") else "right")
        for row in table.to_dict("records"):
            shown.add_row(
                row["block"],
                row["kind"],
                f"{row['tensors']:,}",
                f"{row['layers']:,}" if row["layers"] else "",
                f"{row['parameters']:,}",
                f"{row['share']:.2%}",
                row["heads"],
            )
        print_table(f"{model}: {table['parameters'].sum():,} parameters in {table['tensors'].sum():,} tensors", shown)


def _record(name: str, one: Any) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(one.shape),
        "parameters": one.parameters,
        "layer": one.role.layer,
        "block": one.role.block,
        "kind": one.role.kind,
        "output_axis": one.output_axis,
        "input_axis": one.input_axis,
        "expert_axis": one.expert_axis,
        "parts_axis": one.parts_axis,
        "parts": [[part.kind, part.head, part.start, part.stop] for part in one.parts],
    }
