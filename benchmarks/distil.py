"""Which layers a student should keep: those where the spot of code is densest, evenly spread ones, or the least dense.

    python benchmarks/distil.py --layers 4 3 --out distil.json

The student begins with the weights of the layers that it keeps, and is trained on the teacher's outputs as `codingspot
export distilled` does it, on text of three languages and English that spots were found from; Python is held out. The
spot is the set-difference spot of --k percent. Losses are of text that nothing else reads, pass@1 of the first --items
Python problems. Seeds are paired: the same text and order for every student. The range over seeds is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import torch

from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.export import DistilledExport
from codingspot.export.distillation import distil
from codingspot.export.student import kept_layers, student_of
from codingspot.models import LoadedModel
from codingspot.models.finding import find_model
from codingspot.sandbox import Sandbox
from uses import LENGTH, World, markdown, mean_and_range, parser, worlds

KEPT = ("dense", "even", "sparse")
MEASURED = ("code", "python", "english", "pass@1")


def measured(world: World, loaded: LoadedModel, items: int, sandbox: Sandbox) -> dict[str, float]:
    """Losses, and pass@1 of Python where items are asked."""
    found = world.losses(loaded)()
    if items:
        tasks = load_tasks([TaskSpec("testbed_humaneval", limit=items)])
        adapter = ModelAdapter(loaded.model, loaded.tokenizer, share_prefixes=False)
        outcomes = Evaluator(adapter, tasks, sandbox=sandbox).outcomes(tasks)
        found["pass@1"] = sum(outcome.outcome for outcome in outcomes) / len(outcomes)
    return found


def distilled(world: World, count: int, keep: str, options: argparse.Namespace, sandbox: Sandbox) -> Iterator[Any]:
    """A student before and after its training."""
    settings = DistilledExport(
        layers=count,
        steps=options.steps,
        sequences=options.sequences,
        learning_rate=options.rate,
        temperature=options.temperature,
        cross_entropy=options.cross_entropy,
        seed=world.seed,
    )
    spot = None if keep == "even" else world.weight_spot(options.k)
    layers = kept_layers(world.loaded.model, count, keep, spot)
    model = student_of(world.loaded.model, find_model(world.loaded.id), layers)
    student = replace(world.loaded, model=model)
    about = {"seed": world.seed, "layers": count, "keep": keep, "kept": ", ".join(map(str, layers))}
    yield {**about, "step": 0, **measured(world, student, 0, sandbox)}
    texts = [text.input_ids for side in world.texts() for text in side.values()]
    distil(model, world.loaded.model, torch.cat(texts).view(-1, LENGTH), settings, str(world.scratch / "trainer"))
    yield {**about, "step": options.steps, **measured(world, student, options.items, sandbox)}


def show(table: pd.DataFrame) -> str:
    """A row a student: which layers, its losses before and after, and pass@1."""
    rows = []
    for (count, keep), own in table.groupby(["layers", "keep"], sort=False):
        row = {"layers": count or "all", "kept": keep, "which": " or ".join(dict.fromkeys(own["kept"]))}
        before, after = own[own["step"] == 0], own.loc[own.groupby("seed")["step"].idxmax()]
        for name in MEASURED:
            if name in own:
                change = name != "pass@1" and len(own) > len(after)
                first = f"{before[name].mean():.2f}, " if change else ""
                row[name] = first + mean_and_range(after[name], 3)
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "distil.json")
    options.add_argument("--layers", nargs="+", type=int, default=[4, 3], help="of the students")
    options.add_argument("--steps", type=int, default=150)
    options.add_argument("--sequences", type=int, default=8, help="of 128 tokens a step")
    options.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    options.add_argument("--temperature", type=float, default=2.0)
    options.add_argument("--cross-entropy", type=float, default=0.5)
    options.add_argument("--k", type=float, default=2.0, help="of the spot, percent of all parameters")
    options.add_argument("--items", type=int, default=60, help="problems of Python; 0 asks none")
    parsed = options.parse_args()
    with worlds(parsed, "layers") as (saved, every), Sandbox() as sandbox:
        for world in every:
            about = {"seed": world.seed, "layers": 0, "keep": "teacher", "kept": "all", "step": 0}

            def teacher(about: dict[str, Any] = about, world: World = world) -> list[dict[str, Any]]:
                return [{**about, **measured(world, world.loaded, parsed.items, sandbox)}]

            saved.add((world.seed, "teacher"), teacher)
            for count in parsed.layers:
                for keep in KEPT:
                    saved.add((world.seed, count, keep), partial(distilled, world, count, keep, parsed, sandbox))
        print(f"\n{show(saved.table)}")


if __name__ == "__main__":
    main()
