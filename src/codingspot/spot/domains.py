"""The spot of each domain by itself, code or general: what it alone needs most, and what it shares with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement

import pandas as pd

from codingspot.importance import ScoreStore
from codingspot.spot.finding import find_spot
from codingspot.spot.overlap import jaccard, overlap, overlap_by_tensor
from codingspot.spot.spot import Spot

CODE = "code"
"""Name of the spot of all languages together, by the sum of their scores."""


def only_domain(store: ScoreStore, name: str) -> ScoreStore:
    """The same scores with one domain left, called code whatever its kind.

    Raises:
        ArtefactError: the store has no domain of that name.
    """
    return replace(store, domains=(replace(store.domain(name), kind="code"),))


def domain_spots(store: ScoreStore, *, max_k_percent: float, scope: str = "all") -> dict[str, Spot]:
    """For each domain of the store the parameters with its largest magnitudes, by its name.

    Raises:
        SelectionError: k is not in (0, 100], or the scope has too few parameters.
        StudyError: the scope is unknown.
    """
    return {
        domain.name: find_spot(only_domain(store, domain.name), scope=scope, max_k_percent=max_k_percent)
        for domain in store.domains
    }


def domain_overlap(
    spots: Mapping[str, Spot], k_percents: Sequence[float], *, halves: Sequence[Mapping[str, Spot]] = ()
) -> pd.DataFrame:
    """How far domains share a region: every pair of their spots at every k, and each domain with itself.

    ``halves`` are the domains' spots found in two halves of the text. ``split_jaccard`` sets the spot of one domain in
    one half beside that of the other domain in the other half, so that a domain's with itself is what is left of one
    region by another sample of text alone: two languages whose index is near that share one region.

    Columns: those of :func:`codingspot.spot.overlap.overlap` (missing where both are one domain), and with halves
    ``split_jaccard`` (mean of both ways round), ``split_low`` and ``split_high`` (the smaller and the larger).
    """
    whole = overlap(spots, k_percents)
    if not halves:
        return whole
    one, other = halves
    rows = []
    for first, second in combinations_with_replacement(spots, 2):
        for k in k_percents:
            ways = [
                jaccard(one[a].top(k).positions, other[b].top(k).positions)
                for a, b in {(first, second), (second, first)}
            ]
            split = {"split_jaccard": sum(ways) / len(ways), "split_low": min(ways), "split_high": max(ways)}
            rows.append({"first": first, "second": second, "k_percent": k, **split})
    return pd.DataFrame(rows).merge(whole, on=["first", "second", "k_percent"], how="left")


def general_overlap(store: ScoreStore, k_percents: Sequence[float], *, scope: str = "all") -> pd.DataFrame:
    """Where code and general text share a region: the spot of all languages beside each general domain's, per tensor.

    Columns: ``first`` (``code``), ``second`` (the general domain), ``k_percent``, and those of
    :func:`codingspot.spot.overlap.overlap_by_tensor`.

    Raises:
        SelectionError: the store has no code domain, or k is not in (0, 100].
    """
    largest = max(k_percents)
    code = find_spot(store, scope=scope, max_k_percent=largest)
    tables = []
    for name in store.names("general"):
        general = find_spot(only_domain(store, name), scope=scope, max_k_percent=largest)
        for k in k_percents:
            table = overlap_by_tensor(code.top(k), general.top(k))
            table.insert(0, "k_percent", k)
            table.insert(0, "second", name)
            table.insert(0, "first", CODE)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
