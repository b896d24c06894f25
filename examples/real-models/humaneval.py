"""HumanEval with a run's best neurons zeroed, and with as many random ones of the same layers.

    python humaneval.py runs/qwen-units models/qwen-coder data/humaneval 1.5

It takes the order of neurons that the run kept (``analysis/units-neurons.parquet``), so that no text is read again.
`codingspot run`, which resumes, asks the same of every cell of the study.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from codingspot.ablation import edited
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.evaluation.tasks import load_tasks
from codingspot.models import load_model
from codingspot.models.units import Units, find_units
from codingspot.sandbox import Sandbox
from codingspot.spot import Spot


def best(units: Units, table: pd.DataFrame, k_percent: float) -> torch.Tensor:
    """Numbers of the first units of a ranking that fit in k percent of all parameters."""
    numbers = {
        place: number for number, place in enumerate(zip(units.layers.tolist(), units.indices.tolist(), strict=True))
    }
    order = torch.tensor([numbers[place] for place in zip(table["layer"], table["index"], strict=True)])
    sizes = torch.cumsum(units.sizes[order], 0)
    return order[: int((sizes <= round(k_percent / 100 * units.layout.total)).sum())]


def random_like(units: Units, chosen: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """As many others of each layer, drawn by a seed."""
    drawn = np.random.default_rng(seed)
    others = torch.ones(len(units), dtype=torch.bool)
    others[chosen] = False
    found = []
    for layer, count in zip(*torch.unique(units.layers[chosen], return_counts=True), strict=True):
        pool = torch.nonzero(others & (units.layers == layer)).flatten().numpy()
        found.append(torch.from_numpy(drawn.choice(pool, int(count), replace=False)))
    return torch.cat(found)


def main(run: Path, model: str, data: Path, k_percent: float) -> None:
    """Print pass@1 of both."""
    loaded = load_model(model, dtype="bfloat16")
    units = find_units(loaded.model, "neuron")
    chosen = best(units, pd.read_parquet(run / "analysis" / "units-neurons.parquet"), k_percent)
    spec = TaskSpec("humaneval", data=data, chat_template=True, max_new_tokens=512)
    tasks = load_tasks([spec], tokenizer=loaded.tokenizer)
    with Sandbox() as sandbox:
        evaluator = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), tasks, sandbox=sandbox)
        for name, numbers in (("best", chosen), ("random", random_like(units, chosen))):
            positions = units.positions(numbers)
            spot = Spot(positions, torch.arange(len(positions), 0, -1, dtype=torch.float32), units.layout, {})
            with edited(loaded, spot, "zero"):
                outcomes = evaluator.evaluate(name).outcomes["outcome"]
            print(f"{name}: {len(numbers)} neurons, pass@1 {outcomes.mean():.3f} of {len(outcomes)} problems")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
