"""Controls of spots of whole units."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.ablation import CONTROLS, Controlled, ControlTraits
from codingspot.ablation.controls import how_drawn
from codingspot.errors import SelectionError
from codingspot.models import Units, find_units
from codingspot.settings import Seed
from codingspot.spot import Spot, WholeUnits


@CONTROLS.register(
    "matched_units",
    label="matched random units",
    traits=ControlTraits(
        matched=("tensor", "unit"), of_units=True, drawn="drawn whole from the same layers, as many of each"
    ),
)
def matched_units(controlled: Controlled, *, seed: Seed = 0) -> Spot:
    """Random whole units of the same kind and layers, the same number from each layer.

    In the spot's order each of its units has another of the same layer and size, so that every dose of the control has
    as many units of each layer, and parameters of each tensor, as the spot's. Where a layer has too few others, the
    rest come from any layer; their number is ``unmatched`` in the metadata.

    Raises:
        SelectionError: the spot isn't one of whole units, or leaves fewer of their size than it has.
    """
    spot = controlled.spot
    if spot.units is None:
        raise SelectionError("matched_units needs a spot of whole units; use matched for one of single weights")
    units = find_units(controlled.loaded.model, spot.units.kind)
    drawn, unmatched = _drawn(units, spot.units.numbers, seed, controlled.apart)
    control = {"name": "matched_units", "seed": seed, "unmatched": unmatched, **how_drawn(controlled.apart)}
    return Spot(
        units.positions(drawn),
        torch.zeros(len(spot)),
        spot.layout,
        {**spot.metadata, "control": control},
        WholeUnits(units.kind, drawn, units.sizes[drawn]),
    )


def other_units(spot: Spot, units: Units, *, seed: int, most: int) -> Spot:
    """Units of the spot's kind that it leaves, in random order, of at most ``most`` weights in all."""
    assert spot.units is not None
    left = torch.ones(len(units), dtype=torch.bool)
    left[spot.units.numbers] = False
    numbers = torch.from_numpy(np.random.default_rng(seed).permutation(left.nonzero().flatten().numpy()))
    numbers = numbers[units.sizes[numbers].cumsum(0) <= most]
    positions, whole = units.positions(numbers), WholeUnits(units.kind, numbers, units.sizes[numbers])
    control = {"name": "other_units", "seed": seed}
    return Spot(positions, torch.zeros(len(positions)), spot.layout, {**spot.metadata, "control": control}, whole)


def _drawn(units: Units, numbers: Int64[Tensor, " n"], seed: int, apart: bool) -> tuple[Int64[Tensor, " n"], int]:
    """A random unit for each of ``numbers``, where ``apart`` none of these, and how many are of another layer."""
    generator = np.random.default_rng(seed)
    free = np.ones(len(units), dtype=bool)
    free[numbers.numpy()] = not apart
    drawn = np.full(len(numbers), -1, dtype=np.int64)
    layers, sizes = units.layers.numpy(), units.sizes.numpy()
    unmatched = 0
    for alike in (np.stack([layers, sizes]), sizes[None]):
        for group in np.unique(alike[:, numbers.numpy()[drawn < 0]], axis=1).T:
            same = (alike == group[:, None]).all(0)
            places = np.flatnonzero((drawn < 0) & same[numbers.numpy()])
            found = generator.permutation(np.flatnonzero(free & same))[: len(places)]
            drawn[places[: len(found)]] = found
            free[found] = False
            unmatched += len(found) if len(alike) == 1 else 0
    if (drawn < 0).any():
        raise SelectionError(
            f"the spot has {len(numbers)} of the model's {len(units)} {units.kind}s, more than it leaves for a "
            "control; lower k"
        )
    return torch.from_numpy(drawn), unmatched
