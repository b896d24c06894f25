"""The figure of what lasting_removal.py measured: how much of code comes back after some steps, by how it was removed.

    python benchmarks/lasting_figure.py "testbed=lasting.json" "SmolLM2=smollm2.json" --rate 1e-4 --out docs/images

Means over seeds. Of every way the share of the distance to the model from which nothing was removed that is gone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from codingspot.report.drawing import Panel, Picture, save_picture
from codingspot.report.theme import CODE, GENERAL, MARKERS, MUTED, SPOTS
from lasting_removal import with_recovered

KINDS = {"random": MUTED, "ascent": CODE, "NPO": CODE, "CIR": CODE, "mask": SPOTS[1], "weights": GENERAL, "": SPOTS[0]}
"""Colours by the first of these that a way's name has: random controls, unlearning, weights, neurons."""


def draw(axes: Axes, *, table: pd.DataFrame, ways: Sequence[str]) -> None:
    """One curve a way over steps, from the rows of one model; a way's marker is by its place in ``ways``."""
    for way, rows in table.groupby("way", sort=False):
        curve = rows.groupby("step")["recovered"].mean()
        colour = next(colour for name, colour in KINDS.items() if name in str(way))
        marker = MARKERS[ways.index(str(way)) % len(MARKERS)]
        axes.plot(curve.index, curve, color=colour, marker=marker, linewidth=1.2, label=way)
    steps = sorted(table["step"].unique())
    axes.set_xscale("log")
    axes.set_xticks(steps, [str(step) for step in steps])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1)
    axes.set_xlabel("steps of fine-tuning on 99 programs")
    axes.set_ylabel("share of code recovered")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=1)


def main() -> None:
    """Parse the arguments and draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="+", metavar="TITLE=FILE", help="that lasting_removal.py wrote")
    options.add_argument("--rate", type=float, default=1e-4, help="of relearning")
    options.add_argument("--out", type=Path, required=True, help="folder of lasting.png")
    given = options.parse_args()
    tables = {}
    for title, file in (each.split("=", 1) for each in given.files):
        saved = json.loads(Path(file).read_text())["rows"].values()
        table = with_recovered(pd.DataFrame([row for rows in saved for row in rows]))
        table = table[(table["rate"] == given.rate) & (table["way"] != "nothing") & (table["step"] > 0)]
        tables[title] = table
    ways = list(dict.fromkeys(pd.concat(tables.values())["way"]))
    alt = "Share of code recovered over steps of fine-tuning, one curve a way of removal."
    panels = (
        Panel(title, f"{title}: {alt}", partial(draw, table=table, ways=ways), size=(4.4, 4.6))
        for title, table in tables.items()
    )
    caption = "Share of the distance to the model from which nothing was removed that is gone; means over seeds."
    save_picture(Picture("lasting", "How much of code comes back?", caption, tuple(panels)), given.out)


if __name__ == "__main__":
    main()
