"""The command ``spot``: the best of all parameters by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, Force, friendly_errors, one_voice, print_json, print_table
from codingspot.cli.options import PLACE
from codingspot.settings_text import read_settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(spot)


def spot(
    scores: Annotated[Path, typer.Argument(**PLACE, help="A score store made by `codingspot score`.")],
    file: Annotated[Path, typer.Option("--out", "-o", **PLACE, help="File of the spot.")],
    recipe: Annotated[
        str,
        typer.Option(
            help="How scores are combined; see `codingspot methods recipe`. One that is trained, such as "
            "learned, is for a study file."
        ),
    ] = "sum",
    scope: Annotated[str, typer.Option(help="Which weights; see `codingspot methods scope`.")] = "all",
    k: Annotated[float, typer.Option("--k", help="Percentage of all parameters; smaller doses are prefixes.")] = 1.0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe's parameter, NAME=VALUE; repeat.")
    ] = None,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="Rank within each tensor.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Select the top k percent of all parameters by a recipe, exactly.

    Example: codingspot spot runs/scores --recipe set_difference --set general_percent=20 --out spot.safetensors

    In parts: torchrun --nproc-per-node 8 -m codingspot spot runs/scores --out spot.safetensors
    """
    from codingspot import learning as learning  # registers its recipe, so that it's named for what it is
    from codingspot import units as units  # registers its recipe and controls
    from codingspot.importance import ScoreStore
    from codingspot.models.ranks import process_group
    from codingspot.outputs import check_file
    from codingspot.spot import check_recipe, density, find_spot
    from codingspot.spot.spot import is_spot

    with friendly_errors(), one_voice(), process_group() as ranks:
        check_file(file, is_spot, inputs=[scores], force=force)
        settings = check_recipe(recipe, {"per_tensor": per_tensor, **read_settings(setting or [])})
        store = ScoreStore.open(scores)
        found = find_spot(store, recipe=recipe, scope=scope, max_k_percent=k, ranks=ranks, **settings)
        if ranks.own > 0:
            return
        found.save(file, force=force)
        share = density(found).groupby("block", sort=False)[["parameters", "selected"]].sum()
        if as_json:
            blocks = share.reset_index().astype(object).to_dict("records")
            print_json({"spot": str(file), "parameters": len(found), "blocks": blocks})
            return
        table = Table()
        for heading in ("block", "parameters", "selected", "share of spot"):
            table.add_column(heading, justify="left" if heading == "block" else "right")
        for block, row in share.iterrows():
            part = row["selected"] / len(found)
            table.add_row(str(block), f"{row['parameters']:,}", f"{row['selected']:,}", f"{part:.1%}")
        print_table(f"{file}: {len(found):,} parameters", table)
