"""What two spots share, what either has, and what one has alone: spots again, in one order.

Of two spots of whole units of one kind the units are combined, and stay whole; of any others the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.errors import FingerprintError, SelectionError
from codingspot.provenance import library_versions
from codingspot.spot.spot import Spot
from codingspot.spot.whole_units import WholeUnits

_OF_ONE = frozenset({"recipe", "control", "k_percent", "left_out", "units", "versions", "combination"})
"""What metadata say of how one spot was found, which a combination of two wasn't."""


@dataclass(frozen=True)
class Operation:
    """A way to combine two lists without repeats: its name, and what it takes, places in both end to end."""

    name: str
    places: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _either(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Best of both in turn, the first's before the second's."""
    ranks = np.concatenate([2 * np.arange(len(first)), 2 * np.arange(len(second)) + 1])
    order = np.argsort(ranks)
    _, earliest = np.unique(np.concatenate([first, second])[order], return_index=True)
    return np.asarray(order[np.sort(earliest)])


INTERSECTION = Operation("intersection", lambda first, second: np.flatnonzero(np.isin(first, second)))
DIFFERENCE = Operation("difference", lambda first, second: np.flatnonzero(~np.isin(first, second)))
UNION = Operation("union", _either)


def combine(operation: Operation, first: Spot, second: Spot) -> Spot:
    """The combination, in the first's order; a union has the best of both in turn. Its metadata name its parts.

    A key of a union's is that of the spot which ranks the parameter higher.

    Raises:
        SelectionError: the spots are of different models.
        FingerprintError: they were found in different weights of one architecture.
    """
    if first.layout != second.layout:
        raise SelectionError("the two spots are of different models; combine spots of one model")
    if None not in (first.fingerprint, second.fingerprint) and first.fingerprint != second.fingerprint:
        raise FingerprintError(
            "the two spots were found in different weights; combine spots of one model, or compare them with "
            "'codingspot diff'"
        )
    positions, scores = (torch.cat([getattr(s, name) for s in (first, second)]) for name in ("positions", "scores"))
    units = None
    if first.units is not None and second.units is not None and first.units.kind == second.units.kind:
        numbers, sizes = (torch.cat([getattr(s.units, name) for s in (first, second)]) for name in ("numbers", "sizes"))
        chosen = torch.from_numpy(operation.places(first.units.numbers.numpy(), second.units.numbers.numpy()))
        units = WholeUnits(first.units.kind, numbers[chosen], sizes[chosen])
        places = _spans((sizes.cumsum(0) - sizes)[chosen], sizes[chosen])
    else:
        places = torch.from_numpy(operation.places(first.positions.numpy(), second.positions.numpy()))
    return Spot(positions[places], scores[places], first.layout, _metadata(operation.name, first, second), units)


def _spans(starts: Int64[Tensor, " spans"], lengths: Int64[Tensor, " spans"]) -> Int64[Tensor, " n"]:
    """The whole numbers of each span, span after span."""
    ends = lengths.cumsum(0)
    return torch.arange(int(lengths.sum())) + (starts - ends + lengths).repeat_interleave(lengths)


def _metadata(operation: str, first: Spot, second: Spot) -> dict[str, Any]:
    one, other = first.metadata, second.metadata
    agreed = {key: value for key, value in one.items() if key in other and other[key] == value and key not in _OF_ONE}
    parts: list[Mapping[str, Any]] = [{**spot.metadata, "parameters": len(spot)} for spot in (first, second)]
    model = one.get("model") or other.get("model")
    return {
        **agreed,
        **({} if model is None else {"model": model}),
        "combination": {"operation": operation, "parts": parts},
        "versions": library_versions(),
    }
