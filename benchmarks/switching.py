"""Going from one cell of a grid to the next, beside loading the model again.

    python benchmarks/switching.py                 # 100 M random parameters, a minute
    python benchmarks/switching.py --size 27m

A cell is an edit of the weights at random positions of the whole model, the slowest there are. What is timed is all
that stands between two evaluations: the next dose of the same spot, another spot of the same size (undo and edit
anew), and back to the original weights. A load is transformers' own from_pretrained of a safetensors file in the
page cache; its weights are read once, since a file that is only mapped has not been loaded.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial

import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from codingspot.ablation import WeightEditor
from codingspot.spot.selection import count_for
from paired import SIZES, timed

DOSES = (0.0025, 0.01, 0.09, 0.25, 1.0)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[size for size in SIZES if size != "1b"], default="100m")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    disable_progress_bar()
    torch.manual_seed(0)
    model = LlamaForCausalLM(SIZES[options.size])
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        load = median(lambda: read(AutoModelForCausalLM.from_pretrained(folder)), options.repeats)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters:,} parameters, float32, {torch.get_num_threads()} threads, medians of {options.repeats}")
    print(f"load from the page cache: {1000 * load:.0f} ms")
    for name, switches in measured(model, parameters, options.repeats).items():
        for dose, seconds in switches.items():
            print(f"{name:<32}{dose:>8g}%  {1000 * seconds:>8.2f} ms  {100 * seconds / load:>6.2f}% of a load")


def read(model: torch.nn.Module) -> float:
    """Touch every weight."""
    return sum(float(parameter.detach().sum()) for parameter in model.parameters())


def measured(model: torch.nn.Module, parameters: int, repeats: int) -> dict[str, dict[float, float]]:
    """Median seconds of every kind of switch at every dose."""
    device = next(model.parameters()).device
    first, second = (spot(parameters, seed, device) for seed in (1, 2))
    counts = {dose: count_for(dose, parameters) for dose in DOSES}
    before = dict(zip(DOSES[1:], DOSES, strict=False))
    grown: dict[float, list[float]] = {dose: [] for dose in before}
    other: dict[float, list[float]] = {dose: [] for dose in DOSES}
    original: dict[float, list[float]] = {dose: [] for dose in DOSES}
    with WeightEditor(model) as editor:
        for _ in range(repeats):
            for dose in DOSES:
                if dose in before:
                    editor.apply(first[: counts[before[dose]]])
                    grown[dose].append(timed(partial(editor.apply, first[: counts[dose]]), device))
                editor.apply(first[: counts[dose]])
                other[dose].append(timed(partial(editor.apply, second[: counts[dose]]), device))
                original[dose].append(timed(editor.restore, device))
    named = {
        "from the dose before": grown,
        "from another spot of this dose": other,
        "to the original weights": original,
    }
    return {name: {dose: statistics.median(found) for dose, found in doses.items()} for name, doses in named.items()}


def spot(parameters: int, seed: int, device: torch.device) -> torch.Tensor:
    """Random positions in random order, as many as the largest dose, drawn on the device; a spot's are on the CPU."""
    generator = torch.Generator(device).manual_seed(seed)
    number = int(1.01 * count_for(DOSES[-1], parameters))
    drawn = torch.unique(torch.randint(parameters, (number,), generator=generator, device=device))
    return drawn[torch.randperm(len(drawn), generator=generator, device=device)].cpu()


def median(function: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that isn't counted."""
    function()
    return statistics.median(timed(function, torch.device("cpu")) for _ in range(repeats))


if __name__ == "__main__":
    main()
