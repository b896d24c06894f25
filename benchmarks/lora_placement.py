"""Where LoRA learns a new language best: where the spot of code is dense, where it isn't, or everywhere alike.

    python benchmarks/lora_placement.py --language rust --out lora.json

The routed model knows four languages; the one learned is none of them. Ranks are placed by the density of the
set-difference spot in each module, the other way round, and uniformly, at one budget of trainable parameters, which all
but a few of are spent. Learned from --programs programs with AdamW, 2 sequences of 128 tokens a step. Seeds are paired:
the same text, order and random numbers for every placement.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import pandas as pd
import torch
from peft import LoraConfig, get_peft_model

from codingspot.export import LoraExport, export_lora
from codingspot.learning import domain_losses
from codingspot.models import OutputHead
from codingspot.spot import Spot
from uses import LENGTH, World, copied, markdown, mean_and_range, parser, worlds

PLACEMENTS = ("density", "uniform", "inverse")
SEQUENCES = 2
"""Of a step."""


def learned(world: World, spot: Spot, placement: str, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Losses before and after adapters at these places have learned the language."""
    folder = world.scratch / f"{placement}-{world.seed}"
    settings = LoraExport(budget=options.budget, placement=placement)
    spent = export_lora(spot, folder, settings).record["trainable"]
    torch.manual_seed(world.seed)
    loaded = copied(world.loaded)
    get_peft_model(loaded.model, LoraConfig.from_pretrained(folder))
    held_out = {domain.name: domain for domain in world.text.held_out([options.language], world.held_out)}
    new, known = domain_losses(loaded, {"new": world.packed(held_out[options.language])}), world.losses(loaded)
    about = {"seed": world.seed, "placement": placement, "trainable": spent}
    yield {**about, "step": 0, **new(), **known()}
    adapters = [parameter for parameter in loaded.model.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in adapters) == spent
    optimizer = torch.optim.AdamW(adapters, lr=options.rate, weight_decay=0)
    programs, head = world.programs(options.programs, [options.language]).input_ids, OutputHead(loaded.model)
    for _ in range(options.steps):
        batch = programs[torch.randint(len(programs), (SEQUENCES,))]
        (head.text_loss(batch) / (SEQUENCES * (LENGTH - 1))).backward()
        optimizer.step()
        optimizer.zero_grad()
    yield {**about, "step": options.steps, **new(), **known()}


def show(table: pd.DataFrame) -> str:
    """For each placement the loss of the language, and by how much the others rose."""
    before = table[table["step"] == 0].set_index(["placement", "seed"])
    after = table[table["step"] > 0].set_index(["placement", "seed"])
    rises = after[["code", "python", "english"]] - before[["code", "python", "english"]]
    found = rises.assign(new=after["new"], trainable=after["trainable"], before=before["new"])
    rows = []
    for placement, own in found.groupby(level=0, sort=False):
        beside = own["new"].to_numpy() - found.loc["uniform", "new"].to_numpy()
        rows.append(
            {
                "placement": placement,
                "trainable": f"{own['trainable'].mean():,.0f}",
                "loss before": mean_and_range(own["before"]),
                "after": mean_and_range(own["new"], 3),
                "less uniform's": mean_and_range(pd.Series(beside), 3),
                "known languages": mean_and_range(own["code"], 3),
                "Python": mean_and_range(own["python"], 3),
                "English": mean_and_range(own["english"], 3),
            }
        )
    return markdown(pd.DataFrame(rows))


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "lora.json")
    options.set_defaults(model="testbed-routed", seeds=5)
    options.add_argument("--language", default="rust")
    options.add_argument("--programs", type=int, default=200)
    options.add_argument("--budget", type=int, default=30_000, help="trainable parameters")
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--rate", type=float, default=3e-3, help="learning rate")
    options.add_argument("--k", type=float, default=2.0, help="of the spot, percent of all parameters")
    parsed = options.parse_args()
    with worlds(parsed) as (saved, every):
        for world in every:
            for placement in PLACEMENTS:
                make = partial(_rows, world, placement, parsed)
                saved.add((world.seed, placement), make)
        print(f"\n{show(saved.table)}")


def _rows(world: World, placement: str, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    yield from learned(world, world.weight_spot(options.k), placement, options)


if __name__ == "__main__":
    main()
