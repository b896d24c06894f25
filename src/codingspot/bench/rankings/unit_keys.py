"""Scores of whole units on the benchmark's text, and what they come to for weights."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from codingspot.bench.methods import SCOPE, BenchInput
from codingspot.models import UnitKind, Units, find_units
from codingspot.units.ranking import Ranked, UnitSettings, rank


def settings_of(score: str, **others: Any) -> UnitSettings:
    """A score as published: no smoothing, domains not normalised, mean over languages, all the text."""
    plain: dict[str, Any] = {
        "contrast": "ratio",
        "smoothing": 0.0,
        "normalise": "none",
        "languages_together": "mean",
        "general_together": "largest",
        "token_budget": None,
        "batch_tokens": None,
    }
    return UnitSettings(score, **{**plain, **others})


def ranked_units(bench: BenchInput, kind: UnitKind, settings: UnitSettings) -> tuple[Units, Ranked]:
    """The units of a kind and their scores and keys."""
    units = find_units(bench.loaded.model, kind)
    return units, rank(bench.given(), units, settings, units.inside(SCOPE))


def keys_of_units(units: Units, keys: Float64[Tensor, " units"]) -> Float32[Tensor, " parameters"]:
    """Every weight of a unit has the unit's key; whatever belongs to none is left out."""
    found = torch.full((units.layout.total,), -torch.inf)
    numbers = (keys > -torch.inf).nonzero().squeeze(1)
    found[units.positions(numbers)] = keys[numbers].float().repeat_interleave(units.sizes[numbers])
    return found


def keys_of_order(units: Units, order: Int64[Tensor, " n"]) -> Float32[Tensor, " parameters"]:
    """The same from the numbers of units, best first."""
    keys = torch.full((len(units),), -torch.inf, dtype=torch.float64)
    keys[order] = -torch.arange(len(order), dtype=torch.float64)
    return keys_of_units(units, keys)
