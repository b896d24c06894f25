"""The command ``diff``: what two spots share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, friendly_errors, out, print_json, print_table
from codingspot.cli.options import PLACE

if TYPE_CHECKING:  # loading it takes time, which `--help` should not
    from codingspot.spot import Spot

_LEAST_P = 1e-300
"""Below it, a number's last digits are lost."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(diff)


def diff(
    first: Annotated[Path, typer.Argument(**PLACE, help="A spot.")],
    second: Annotated[
        Path, typer.Argument(**PLACE, help="Another of the same model, or of one of the same architecture.")
    ],
    by: Annotated[str, typer.Option(help="Rows of the table: tensor, layer or kind.")] = "layer",
    k: Annotated[
        float | None, typer.Option("--k", help="Percentage of all parameters of each; the whole spots by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two spots: how many parameters they share, in all and by tensor, layer or kind, against chance.

    Example: codingspot diff runs/demo/spots/paper.safetensors runs/demo/spots/blocks.safetensors --by kind
    """
    from codingspot.errors import StudyError
    from codingspot.spot import overlap_by, overlap_in_all
    from codingspot.spot.overlap import GROUPINGS

    with friendly_errors():
        if by not in GROUPINGS:
            raise StudyError(f"--by is {by!r}; use one of {', '.join(GROUPINGS)}")
        one, other = (_top(path, k) for path in (first, second))
        whole, parts = overlap_in_all(one, other), overlap_by(one, other, by)
        if as_json:
            print_json({**whole, by: parts.astype(object).where(parts.notna(), None).to_dict("records")})
            return
        sizes = f"{whole['first_selected']:,} and {whole['second_selected']:,} parameters"
        chance = f"{whole['expected']:,.1f} shared and {whole['expected_jaccard']:.3f} by chance"
        p = f"{whole['p_value']:.2g}" if whole["p_value"] > _LEAST_P else f"< {_LEAST_P:.2g}"
        among = f"among {whole['population']:,} (p {p})"
        out.print(f"{whole['common']:,} shared of {sizes}")
        out.print(f"Jaccard {whole['jaccard']:.3f}; {chance} {among}")
        table = Table()
        for heading in (by, "in the first", "in the second", "shared", "by chance", "Jaccard"):
            table.add_column(heading, justify="left" if heading == by else "right")
        for row in parts.to_dict("records"):
            numbers = (f"{row[name]:,}" for name in ("first_selected", "second_selected", "common"))
            name = "none" if row[by] is None or row[by] != row[by] else str(row[by])
            table.add_row(name, *numbers, f"{row['expected']:,.1f}", f"{row['jaccard']:.3f}")
        print_table(f"By {by}; by chance: what random selections of these sizes in the same tensors share", table)


def _top(path: Path, k: float | None) -> Spot:
    """The first k percent of the spot in a file; an error names it, as there are two."""
    from codingspot.errors import SelectionError
    from codingspot.spot import Spot

    spot = Spot.load(path)
    try:
        return spot if k is None else spot.top(k)
    except SelectionError as error:
        raise SelectionError(f"{path}: {error}") from None
