"""A matched control: the next parameter of the same tensor, wherever that isn't the spot's."""

import numpy as np
import torch

from codingspot.ablation import CONTROLS, Controlled, ControlTraits
from codingspot.spot import Spot


@CONTROLS.register(
    "next_door",
    label="next-door parameters",
    traits=ControlTraits(matched=("tensor",), drawn="next to them in the same tensors"),
)
def next_door(controlled: Controlled, *, seed: int = 0) -> Spot:
    """For each parameter of the spot, the nearest one behind it that is free, around the tensor's end."""
    spot, taken = controlled.spot, set(controlled.spot.positions.tolist())
    found = np.empty(len(spot), dtype=np.int64)
    for name, group in spot.layout.locate(spot.positions).items():
        start, size = spot.layout.slice(name).start, spot.layout.sizes[name]
        for place, offset in zip(group.source.tolist(), group.offsets.tolist(), strict=True):
            near = next(p for step in range(1 + seed, size) if (p := start + (offset + step) % size) not in taken)
            taken.add(near)
            found[place] = near
    about = {**spot.metadata, "control": {"name": "next_door", "seed": seed}}
    return Spot(torch.from_numpy(found), spot.scores, spot.layout, about)
