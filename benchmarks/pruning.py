"""What protecting a spot is worth when a model is pruned: perplexity of code and English at growing sparsity.

    python benchmarks/pruning.py --out pruning.json

The blocks' matrices are pruned within each output's inputs (`codingspot export pruned`) by magnitude, Wanda or Taylor
scores, whose magnitudes are added up over three languages and English. Protected is nothing, the set-difference spot,
as many random weights of the same tensors, or everything but the spot.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from codingspot import load_model
from codingspot.ablation.controls import matched_control
from codingspot.export import PrunedExport, export_pruned
from uses import World, markdown, mean_and_range, parser, worlds

SCORES = ("magnitude", "wanda", "taylor")
PROTECTED = ("nothing", "the spot", "random", "all but the spot")


def pruned(world: World, by: str, protected: str, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Losses at every sparsity."""
    settings = {
        "scores": None if by == "magnitude" else str(world.scored_in(by)),
        "protect": None if protected == "nothing" else str(_saved(world, protected == "random", options.k)),
        "protect_rest": protected == "all but the spot",
    }
    for sparsity in options.sparsities:
        folder = world.scratch / "pruned"
        made = export_pruned(world.loaded.folder, folder, PrunedExport(sparsity=sparsity, **settings), force=True)
        zeros = made.record["matrices"]["protected_zeros"]
        about = {"seed": world.seed, "by": by, "protected": protected, "sparsity": sparsity, "protected_zeros": zeros}
        yield {**about, **world.losses(load_model(folder))()}


def _saved(world: World, random: bool, k: float) -> Path:
    """The file of the spot, or of its control."""
    file = world.scratch / f"{'control' if random else 'spot'}-{world.seed}.safetensors"
    if not file.exists():
        spot = world.weight_spot(k)
        (matched_control(spot, seed=world.seed) if random else spot).save(file)
    return file


def show(table: pd.DataFrame) -> str:
    """Perplexities of code and English at every sparsity (Python's are in the file), a row for each way."""
    domains = ["code", "english"]
    table[domains] = table[domains].map(math.exp)
    rows = []
    original, table = table[table["sparsity"] == 0], table[table["sparsity"] > 0]
    said = ", ".join(f"{domain} {mean_and_range(original[domain])}" for domain in domains)
    for (by, protected), own in table.groupby(["by", "protected"], sort=False):
        row = {"by": by, "protected": protected}
        for domain in domains:
            for sparsity, at in own.groupby("sparsity"):
                row[f"{domain} at {100 * sparsity:.0f}%"] = mean_and_range(at[domain])
        rows.append(row)
    return f"unpruned: {said}\n\n{markdown(pd.DataFrame(rows))}"


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "pruning.json")
    options.add_argument("--sparsities", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    options.add_argument("--k", type=float, default=10.0, help="of the spot, percent of all parameters")
    options.add_argument("--by", nargs="+", choices=SCORES, default=SCORES)
    parsed = options.parse_args()
    with worlds(parsed, "by") as (saved, every):
        for world in every:
            saved.add((world.seed, "original"), partial(_original, world))
            for by in parsed.by:
                for protected in PROTECTED:
                    saved.add((world.seed, by, protected), partial(pruned, world, by, protected, parsed))
        print(f"\n{show(saved.table)}")


def _original(world: World) -> Iterator[Mapping[str, object]]:
    yield {"seed": world.seed, "by": "nothing", "protected": "nothing", "sparsity": 0.0, **world.losses()()}


if __name__ == "__main__":
    main()
