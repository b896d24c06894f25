"""Mean held-out loss of every cell of a run, nats a token, by domain: `python losses.py RUN OUT.csv`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def main(run: Path, out: Path) -> None:
    """Read the losses that are there, of cells whose tasks weren't asked too, and write a row a cell."""
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    rows = []
    for cell in plan["cells"]:
        file = run / "losses" / f"{cell['name']}.parquet"
        if file.exists():
            sums = pd.read_parquet(file).groupby("domain", sort=False)[["loss", "tokens"]].sum()
            about = {name: cell[name] for name in ("name", "spot", "control", "seed", "k_percent", "parameters")}
            rows.append({**about, **(sums["loss"] / sums["tokens"]).round(4).to_dict()})
    pd.DataFrame(rows).astype({"seed": "Int64"}).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
