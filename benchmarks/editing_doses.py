"""Editing a spot without zeroing it: what each edit does to code and to English, beside matched controls.

    python benchmarks/editing_doses.py --seeds 1 --out editing.json

The spots are 2% of all parameters in single weights (set difference) and 1% in whole neurons (rms ratio). Each is
scaled by alpha from -1 (sign flip) over 0 to 1.3 (amplified), averaged, resampled, or gets noise of so many standard
deviations of its tensors, and so are --draws random spots of the same tensors (of neurons: of the same layers).
Changes of loss have 95% bootstrap intervals over documents; of the controls the range is given. The tasks are asked at
the ends: at zero, and amplified.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from codingspot.ablation import CONTROLS, Controlled, WeightEditor
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.sandbox import Sandbox
from codingspot.spot import Spot
from uses import LANGUAGES, World, markdown, parser, worlds

EDITS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "times -1": ("sign_flip", {}),
    "times 0": ("zero", {}),
    **{f"times {alpha}": ("scale", {"alpha": alpha}) for alpha in (0.25, 0.5, 0.75)},
    **{f"times {alpha}": ("amplify", {"alpha": alpha}) for alpha in (1.05, 1.1, 1.2, 1.3)},
    "mean": ("mean", {}),
    "resample": ("resample", {}),
    **{f"noise {scale}": ("noise", {"scale": scale}) for scale in (0.25, 0.5, 1.0)},
}
ENDS = ("times 0", "times 1.1", "times 1.3")
"""Where tasks are asked."""
CODE, GENERAL = "testbed_humaneval", ("arithmetic", "events", "knowledge", "misconceptions", "roles")
RATES = ("pass@1", "general")
SHOWN = ("code", "english")
"""Domains of the table; Python's are in the file."""


class Measured:
    """Losses by document and tasks of one world's model, as it is."""

    def __init__(self, world: World, items: int, sandbox: Sandbox) -> None:
        names = [CODE, *(f"testbed_{family}" for family in GENERAL)]
        tasks = load_tasks([TaskSpec(name, limit=items) for name in names]) if items else []
        adapter = ModelAdapter(world.loaded.model, world.loaded.tokenizer)
        how = {"sandbox": sandbox, "perplexity_tokens": world.held_out}
        self._domains = world.held_out_domains
        self._evaluator = Evaluator(adapter, tasks, self._domains, **how)

    def losses(self, cell: str) -> pd.DataFrame:
        """One row a document; the languages are one domain, ``code``, and all general text another, ``english``."""
        table = pd.DataFrame([vars(row) for row in self._evaluator.losses()])[["domain", "document", "tokens", "loss"]]
        table["document"] = table["domain"] + table["document"].astype(str)
        general = (domain.name for domain in self._domains if domain.kind == "general")
        joined = {**dict.fromkeys(LANGUAGES, "code"), **dict.fromkeys(general, "english")}
        return table.assign(cell=cell, domain=table["domain"].replace(joined))

    def rates(self) -> dict[str, float]:
        """pass@1 of Python and the mean accuracy of the general tasks; empty where no items are asked."""
        table = pd.DataFrame([vars(row) for row in self._evaluator.outcomes(self._evaluator.tasks)])
        if not len(table):
            return {}
        means = table.groupby("task")["outcome"].mean()
        return {"pass@1": means[CODE], "general": means.drop(CODE).mean()}


def spots_of(world: World, draws: int) -> Iterator[tuple[str, str, Spot]]:
    """The two spots and the draws of their controls: name, what it is, spot."""
    for name, spot, control in (
        ("weights", world.weight_spot(2.0), "matched"),
        ("neurons", world.unit_spot(1.0), "matched_units"),
    ):
        yield name, "spot", spot
        given = Controlled(spot, world.store, world.loaded)
        for draw in range(draws):
            yield name, f"control {draw}", CONTROLS.bind(control, {"seed": draw})(given)


def edited(
    world: World, measured: Measured, about: Mapping[str, Any], spot: Spot, edits: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Changes of loss, and rates of tasks, of the edits of one spot."""
    cells = [measured.losses("original")]
    rates: dict[str, dict[str, float]] = {}
    with WeightEditor(world.loaded) as editor:
        for name in edits:
            edit, parameters = EDITS[name]
            editor.apply(spot, edit, **parameters)
            cells.append(measured.losses(name))
            if name in ENDS and about["what"] == "spot":
                rates[name] = measured.rates()
    for row in loss_changes(pd.concat(cells), "original").to_dict("records"):
        yield {**about, **row, **rates.get(row["cell"], {})}


def show(table: pd.DataFrame) -> Iterator[str]:
    """For each spot of each seed a table: a row an edit."""
    for (name, seed), part in table[table["spot"] != "original"].groupby(["spot", "seed"], sort=False):
        rows = []
        for edit, own in part.groupby("cell", sort=False):
            row = {"edit": edit}
            for domain in SHOWN:
                found = own[own["domain"] == domain]
                spot = found[found["what"] == "spot"].iloc[0]
                drawn = found.loc[found["what"] != "spot", "change"]
                row[domain] = f"{spot['change']:.3f} ({spot['low']:.3f} to {spot['high']:.3f})"
                row[f"{domain}, controls"] = f"{drawn.min():.3f} to {drawn.max():.3f}"
            first = own.iloc[0]
            row |= {key: "" if pd.isna(first.get(key)) else f"{first[key]:.2f}" for key in RATES}
            rows.append(row)
        yield f"{name}, seed {seed}\n\n{markdown(pd.DataFrame(rows))}"


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "editing.json")
    options.set_defaults(seeds=1, held_out=1024)
    options.add_argument("--draws", type=int, default=3, help="of each control")
    options.add_argument("--items", type=int, default=40, help="of each task; 0 asks none")
    options.add_argument("--edits", nargs="+", choices=EDITS, default=list(EDITS))
    parsed: argparse.Namespace = options.parse_args()
    with worlds(parsed) as (saved, every), Sandbox() as sandbox:
        for world in every:
            measured = Measured(world, parsed.items, sandbox)
            original = {"seed": world.seed, "spot": "original", "what": "original"}
            saved.add((world.seed, "original"), lambda about=original, read=measured: [{**about, **read.rates()}])
            for name, what, spot in spots_of(world, parsed.draws):
                about = {"seed": world.seed, "spot": name, "what": what}
                saved.add((world.seed, name, what), partial(edited, world, measured, about, spot, parsed.edits))
        table = saved.table
        original = table[table["spot"] == "original"].iloc[0]
        print("\nthe original:", ", ".join(f"{key} {original[key]:.2f}" for key in RATES if key in original))
        for part in show(table):
            print(f"\n{part}")


if __name__ == "__main__":
    main()
