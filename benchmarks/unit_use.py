"""Which units of the subset that code was routed to are used, in a file beside each shipped routed model.

    python benchmarks/unit_use.py                       # both, about ten minutes on one core
    python benchmarks/unit_use.py --model routed --tokens 128 --out /tmp

Each unit is removed from the model, then those of least effect together, and the loss of programs that no method reads
is compared (:mod:`codingspot.bench.use`). ``codingspot bench`` grades the truth by it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from codingspot.bench.use import held_out_code, measure_use, members
from codingspot.models import load_model, shipped_model, shipped_models
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    routed = [name for name in shipped_models() if Subset.is_in(shipped_model(name))]
    parser.add_argument("--model", choices=routed, action="append", help="all by default")
    parser.add_argument("--tokens", type=int, default=256, help="of each language")
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--out", type=Path, help="folder of the file; the model's own by default")
    options = parser.parse_args()

    torch.set_num_threads(1)
    for name in options.model or routed:
        folder = shipped_model(name)
        loaded, subset = load_model(folder), Subset.load(folder)
        text = held_out_code(
            loaded, languages_of(folder), tokens=options.tokens, sequence_length=options.sequence_length
        )
        use = measure_use(loaded, subset, *text, on_unit=_tell)
        use.save(options.out or folder, force=True)
        used = [kind for kind, _, _ in members(use.used(subset))]
        every = [kind for kind, _, _ in members(subset)]
        for kind in ("neuron", "head"):
            print(f"{name}: {used.count(kind)} of {every.count(kind)} {kind}s of the subset are used")
        for change in (*use.together, *use.without_halves):
            print(f"{change.units} units: {change.change:+.4f} ({change.low:+.4f} to {change.high:+.4f}) nats a token")


def _tell(done: int, total: int) -> None:
    if done % 100 == 0:
        print(f"{done} of {total} units", flush=True)


if __name__ == "__main__":
    main()
