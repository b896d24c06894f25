"""Spots made by hand."""

from __future__ import annotations

import torch

from codingspot import Spot
from codingspot.models import ParameterLayout, UnitKind, find_units
from codingspot.spot import WholeUnits


def random_spot(model: torch.nn.Module, *, share: float = 0.05, seed: int = 0, found_in: str | None = None) -> Spot:
    """So large a share of all parameters, in random order."""
    layout, generator = ParameterLayout.of(model), torch.Generator().manual_seed(seed)
    positions = torch.randperm(layout.total, generator=generator)[: round(share * layout.total)]
    return Spot(positions, torch.zeros(len(positions)), layout, {"model": {"id": "tiny", "fingerprint": found_in}})


def unit_spot(model: torch.nn.Module, numbers: list[int], kind: UnitKind = "neuron") -> Spot:
    """These whole units, in this order."""
    units = find_units(model, kind)
    chosen = torch.tensor(numbers)
    positions = units.positions(chosen)
    whole = WholeUnits(kind, chosen, units.sizes[chosen])
    return Spot(positions, torch.zeros(len(positions)), units.layout, {}, whole)
