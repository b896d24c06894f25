"""What models of different code shares keep where: a row a share, the mean over its runs and their range.

    python table.py runs/share-0.1-0 runs/share-0.1-1 ... [--csv results.csv]

- *code loss*: mean over the scored languages, nats a token; *pass@1* of Python, *general*: mean accuracy; before any
  edit.
- *k\\**: smallest dose found with pass@1 below 1%, percent of all parameters; *general at k\\**: retention there.
- *k of 1 nat*: dose at which the loss of the scored languages has risen by one nat, on the line between the doses about
  it (loss against log k); of English for comparison: a model may just be harder to harm.
- *other languages' share*: of what removing one language's neurons does to itself, what it does to another; mean of
  pairs.
- *common region*: Jaccard index, across halves of the text, of the top 0.25% of two languages over that of one with
  itself.
- *shared LAPE neurons*: share of the neurons that aren't one language's alone; *active neurons in common*: Jaccard
  index of two languages' active neurons. *alignment*: MEXA's score, mean over pairs and layers.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

GONE, RISE, REGION = 0.01, 1.0, 0.25
NEEDED = ("study.yaml", "summary.json", "analysis/language_matrix.parquet", "analysis/alignment_pooled.parquet")
Cell = Mapping[str, Any]


def of_run(run: Path) -> dict[str, float]:
    """All figures of a run."""
    model = Path(yaml.safe_load((run / "study.yaml").read_text())["model"]["id"])
    recipe = json.loads((model / "recipe.json").read_text())
    cells = [cell for cell in json.loads((run / "summary.json").read_text()) if cell["control"] is None]
    original, tables = cells[0], run / "analysis"
    matrix = pd.read_parquet(tables / "language_matrix.parquet")
    code = sorted(matrix.loc[matrix["spot_kind"] == "code", "spot"].unique())
    found = {
        "code in training": recipe["code_share"],
        "seed": recipe["seed"],
        "pass@1": original["code"],
        "general": original["general"],
        "code loss": mean_loss(original, code),
    }
    for spot in dict.fromkeys(cell["spot"] for cell in cells[1:]):
        own = sorted((cell for cell in cells if cell["spot"] == spot), key=lambda cell: cell["k_percent"])
        found |= {f"{name}, {spot}": value for name, value in of_spot([original, *own], code).items()}
    return found | dict(of_languages(tables, matrix, code))


def of_spot(doses: Sequence[Cell], code: Sequence[str]) -> dict[str, float]:
    """How much of a spot takes code away; the doses rise, from none."""
    gone = next((cell for cell in doses if cell["code"] is not None and cell["code"] < GONE), None)
    return {
        "k*": math.nan if gone is None else gone["k_percent"],
        "general at k*": math.nan if gone is None else gone["general_retention"],
        "k of 1 nat": dose_of_rise([(cell["k_percent"], mean_loss(cell, code)) for cell in doses]),
        "k of 1 nat of English": dose_of_rise([(cell["k_percent"], mean_loss(cell, ["english"])) for cell in doses]),
    }


def dose_of_rise(curve: Sequence[tuple[float, float]]) -> float:
    """Where a curve of loss against k first passes what it is without an edit by `RISE`."""
    (_, before), *doses = curve
    for (low, under), (high, over) in pairwise(doses):
        if under < before + RISE <= over:
            share = (before + RISE - under) / (over - under)
            return float(low * (high / low) ** share)
    return math.nan


def mean_loss(cell: Cell, domains: Sequence[str]) -> float:
    """Mean loss of the domains, nats a token."""
    return sum(math.log(cell["perplexity"][name]) for name in domains) / len(domains)


def of_languages(tables: Path, matrix: pd.DataFrame, code: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What languages share."""
    losses = matrix[matrix["measure"] == "loss"]
    harm = (losses["value"] - losses["original"]).groupby([losses["spot"], losses["of"]]).first().unstack()
    harm = harm.loc[list(code), list(code)]
    own = pd.Series({each: harm.loc[each, each] for each in code})
    yield "other languages' share", off_diagonal(harm.div(own, axis=0))
    overlap = pd.read_parquet(tables / "overlap.parquet")
    overlap = overlap[(overlap["k_percent"] == REGION) & (overlap["scope"] == "blocks")]
    overlap = overlap[overlap["first"].isin(code) & overlap["second"].isin(code)]
    itself = overlap["first"] == overlap["second"]
    yield "common region", overlap.loc[~itself, "split_jaccard"].mean() / overlap.loc[itself, "split_jaccard"].mean()
    neurons = pd.read_parquet(tables / "neurons.parquet")
    neurons = neurons[neurons["domain"].isin(code)]
    yield "shared LAPE neurons", 1 - neurons.groupby(["layer", "neuron"])["exclusive"].first().mean()
    sharing = pd.read_parquet(tables / "neurons_sharing.parquet")
    pairs = sharing[(sharing["layer"] == -1) & sharing["first"].isin(code) & sharing["second"].isin(code)]
    yield "active neurons in common", pairs["active"].mean()
    aligned = pd.read_parquet(tables / "alignment_pooled.parquet")
    aligned = aligned[(aligned["pairs"] == "distinct") & aligned["first"].isin(code) & aligned["second"].isin(code)]
    yield "alignment", aligned["mean"].astype(float).mean()


def off_diagonal(square: pd.DataFrame) -> float:
    """The mean of what isn't on the diagonal."""
    values = square.to_numpy()
    return float((values.sum() - values.trace()) / (values.size - len(values)))


def main() -> None:
    """Parse the arguments and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", type=Path, nargs="+")
    options.add_argument("--csv", type=Path, help="where to write every run's figures")
    given = options.parse_args()
    for run in given.runs:
        if not all((run / name).exists() for name in NEEDED):
            options.error(f"{run} is no finished run of study.yaml; run it, or leave it out")
    table = pd.DataFrame(map(of_run, given.runs)).sort_values(["code in training", "seed"])
    if given.csv is not None:
        table.to_csv(given.csv, index=False, float_format="%.6g")
    by_share = table.drop(columns="seed").dropna(axis="columns", how="all").groupby("code in training")
    low, mean, high = (getattr(by_share, name)().map("{:.3g}".format) for name in ("min", "mean", "max"))
    print(f"| code in training | {' | '.join(f'{share:g}' for share in mean.index)} |")
    print(f"|---{'|--:' * len(mean)}|")
    for name in mean.columns:
        cells = (f"{mean.at[share, name]} ({low.at[share, name]} to {high.at[share, name]})" for share in mean.index)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
