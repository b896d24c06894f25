"""How far two selections share their parameters, beside what chance would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Int64
from scipy.stats import hypergeom
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.models import role_of
from codingspot.spot.spot import Spot

QUANTILE = 0.95
"""Overlaps above this quantile of what chance gives are called more than chance."""


def common(first: Int64[Tensor, " n"], second: Int64[Tensor, " m"]) -> int:
    """How many positions two selections share."""
    return len(np.intersect1d(first.numpy(), second.numpy(), assume_unique=True))


def jaccard(first: Int64[Tensor, " n"], second: Int64[Tensor, " m"]) -> float:
    """Shared positions / positions in either."""
    shared = common(first, second)
    return shared / (len(first) + len(second) - shared)


def expected_jaccard(n: int, m: int, population: int) -> float:
    """Jaccard of the expected overlap n m / population of two random selections of n and m."""
    shared = n * m / population
    return shared / (n + m - shared)


def chance_jaccard(n: int, m: int, population: int, quantile: float = QUANTILE) -> float:
    """The ``quantile`` of the Jaccard index of two independent random selections of n and m (hypergeometric)."""
    shared = int(hypergeom.ppf(quantile, population, n, m))
    return shared / (n + m - shared)


def overlap(spots: Mapping[str, Spot], k_percents: Sequence[float]) -> pd.DataFrame:
    """Every pair of named spots at every k, against independent random selections (hypergeometric).

    The population is the scope where both spots have the same one, otherwise all parameters. Columns: ``first``,
    ``second``, ``k_percent``, ``parameters`` (in each), ``common``, ``expected``, ``jaccard``, ``expected_jaccard``,
    ``chance_jaccard`` (0.95 quantile of chance) and ``p_value`` (probability of at least as large an overlap by
    chance).

    Raises:
        SelectionError: spots are of different models, or were found at a smaller k.
    """
    rows = []
    for (first, one), (second, other) in combinations(spots.items(), 2):
        if one.layout != other.layout:
            raise SelectionError(f"spots {first!r} and {second!r} are of different models; compare spots of one model")
        population = _population(one, other)
        for k in k_percents:
            named = {"first": first, "second": second, "k_percent": k, "parameters": one.count(k)}
            rows.append({**named, **beside_chance(one.top(k).positions, other.top(k).positions, population)})
    return pd.DataFrame(rows)


def beside_chance(first: Int64[Tensor, " n"], second: Int64[Tensor, " m"], population: int) -> dict[str, float]:
    """What two selections share, and what independent random ones of their sizes do (hypergeometric).

    Keys: ``common``, ``expected``, ``jaccard``, ``expected_jaccard``, ``chance_jaccard`` (0.95 quantile of chance) and
    ``p_value`` (probability of at least as large an overlap by chance).
    """
    n, m, shared = len(first), len(second), common(first, second)
    found = _against_chance(n, m, shared, population)
    p_value = found.pop("p_value")
    return {**found, "chance_jaccard": chance_jaccard(n, m, population), "p_value": p_value}


def _against_chance(n: int, m: int, shared: int, population: int) -> dict[str, float]:
    return {
        "common": shared,
        "expected": n * m / population,
        "jaccard": shared / (n + m - shared),
        "expected_jaccard": expected_jaccard(n, m, population),
        "p_value": float(hypergeom.sf(shared - 1, population, n, m)),
    }


def overlap_by_tensor(first: Spot, second: Spot) -> pd.DataFrame:
    """Where two spots coincide: one row a tensor that either of them touches, in the order of the layout.

    Columns: ``tensor``, ``layer`` (missing outside the layers), ``block``, ``kind``, ``parameters`` (of the tensor),
    ``first_selected``, ``second_selected``, ``common``, ``expected`` (first x second / parameters: what independent
    selections of these sizes within the tensor share), ``jaccard``, ``expected_jaccard`` and ``p_value``.

    Raises:
        SelectionError: the spots are of different models.
    """
    if first.layout != second.layout:
        raise SelectionError("the two spots are of different models; compare spots of one model")
    layout = first.layout
    one, other = layout.locate(first.positions), layout.locate(second.positions)
    rows = []
    for name in (name for name in layout.names if name in one or name in other):
        n, m = (len(side[name].offsets) if name in side else 0 for side in (one, other))
        shared = common(one[name].offsets, other[name].offsets) if n and m else 0
        size, role = layout.sizes[name], role_of(name)
        rows.append(
            {
                "tensor": name,
                "layer": role.layer,
                "block": role.block,
                "kind": role.kind,
                "parameters": size,
                "first_selected": n,
                "second_selected": m,
                **_against_chance(n, m, shared, size),
            }
        )
    return pd.DataFrame(rows).astype({"layer": "Int64"})


GROUPINGS = ("tensor", "layer", "kind")
"""By what :func:`overlap_by` may sum."""


def overlap_by(first: Spot, second: Spot, by: str) -> pd.DataFrame:
    """:func:`overlap_by_tensor` summed over the tensors of each layer or kind, in the order of the layout.

    Columns: ``by`` itself (a layer is missing outside the layers), ``first_selected``, ``second_selected``, ``common``,
    ``expected`` (what independent selections of these sizes in the same tensors share) and ``jaccard``.

    Raises:
        SelectionError: the spots are of different models.
    """
    columns = ["first_selected", "second_selected", "common", "expected"]
    summed = overlap_by_tensor(first, second).groupby(by, sort=False, dropna=False)[columns].sum().reset_index()
    either = summed["first_selected"] + summed["second_selected"] - summed["common"]
    return summed.assign(jaccard=summed["common"] / either)


def overlap_in_all(first: Spot, second: Spot) -> dict[str, float]:
    """What two spots share in all, against independent random selections (hypergeometric) in the population.

    That is the scope where both have the same one, otherwise all parameters. Keys: ``first_selected``,
    ``second_selected``, ``population``, ``common``, ``expected``, ``jaccard``, ``expected_jaccard`` and ``p_value``.

    Raises:
        SelectionError: the spots are of different models, or one is empty.
    """
    if first.layout != second.layout:
        raise SelectionError("the two spots are of different models; compare spots of one model")
    n, m, population = len(first), len(second), _population(first, second)
    if not (n and m):
        raise SelectionError("a spot is empty; compare spots that select something")
    return {
        "first_selected": n,
        "second_selected": m,
        "population": population,
        **_against_chance(n, m, common(first.positions, second.positions), population),
    }


def _population(one: Spot, other: Spot) -> int:
    size = one.metadata.get("scope_parameters")
    same = all(one.metadata.get(key) == other.metadata.get(key) for key in ("scope", "scope_parameters"))
    if same and size is not None and "scope" in one.metadata and size >= max(len(one), len(other)):
        return int(size)
    return one.layout.total
