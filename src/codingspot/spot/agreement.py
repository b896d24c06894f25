"""How far choices that should not matter do: reductions, norms, aggregations, seeds, token budgets.

Two rankings agree as far as their top k% coincide (Jaccard) and their order does (Spearman).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.spot.candidates import candidates, names_in
from codingspot.spot.finding import find_spot
from codingspot.spot.overlap import expected_jaccard, jaccard
from codingspot.spot.recipes import RECIPES, check_recipe, recipe_parameters
from codingspot.spot.selection import count_for


@dataclass(frozen=True)
class Variant:
    """One way to rank the parameters: a store's scores under a recipe."""

    store: ScoreStore
    recipe: str = "sum"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def agreement(
    variants: Mapping[str, Variant],
    k_percents: Sequence[float],
    *,
    scope: str = "all",
    sample: int = 100_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every pair of named variants at every k.

    Columns: ``first``, ``second``, ``k_percent``, ``jaccard`` of the top k percent, ``expected_jaccard`` of random
    selections in the scope, and ``spearman`` of the keys of a seeded ``sample`` of the parameters in scope (all where
    there are fewer; those a recipe leaves out are passed over; the same for every k).

    Raises:
        SelectionError: the variants are of different models, or k is not in (0, 100].
    """
    layouts = [variant.store.layout for variant in variants.values()]
    if any(layout != layouts[0] for layout in layouts):
        raise SelectionError("the score stores to compare are of different models; score one model")
    largest = max(k_percents)
    tops = {
        name: find_spot(variant.store, recipe=variant.recipe, scope=scope, max_k_percent=largest, **variant.parameters)
        for name, variant in variants.items()
    }
    keys = {
        name: _sampled_keys(variant, scope, count_for(largest, layouts[0].total), sample, seed)
        for name, variant in variants.items()
    }
    rows = []
    for first, second in combinations(variants, 2):
        correlation = _spearman(keys[first], keys[second])
        population = int(tops[first].metadata["scope_parameters"])
        for k in k_percents:
            one, other = tops[first].top(k).positions, tops[second].top(k).positions
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "k_percent": k,
                    "jaccard": jaccard(one, other),
                    "expected_jaccard": expected_jaccard(len(one), len(other), population),
                    "spearman": correlation,
                }
            )
    return pd.DataFrame(rows)


def budget_curve(
    draws: Mapping[int, Sequence[ScoreStore]],
    k_percents: Sequence[float],
    *,
    recipe: str = "sum",
    scope: str = "all",
    parameters: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """How far scores from different draws of text agree, by token budget.

    ``draws`` has, for each budget (tokens a domain), stores scored on different text: seeds, or
    :func:`codingspot.importance.disjoint_draws`. Columns: ``token_budget``, ``k_percent``, ``pairs`` of draws,
    ``jaccard`` and ``spearman`` (means over pairs), ``lowest_jaccard``.

    Raises:
        SelectionError: a budget has fewer than two draws.
    """
    parts = []
    for budget, stores in sorted(draws.items()):
        if len(stores) < 2:
            raise SelectionError(f"token budget {budget} has {len(stores)} draw; agreement needs at least two")
        variants = {str(index): Variant(store, recipe, parameters or {}) for index, store in enumerate(stores)}
        pairs = agreement(variants, k_percents, scope=scope).groupby("k_percent", as_index=False)
        part = pairs.agg(
            pairs=("jaccard", "size"),
            jaccard=("jaccard", "mean"),
            spearman=("spearman", "mean"),
            lowest_jaccard=("jaccard", "min"),
        )
        part.insert(0, "token_budget", budget)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def smallest_agreeing_budget(curve: pd.DataFrame, threshold: float) -> int | None:
    """The smallest token budget from which on the mean Jaccard reaches ``threshold`` at every k, if there is one."""
    lowest = curve.groupby("token_budget")["jaccard"].min()
    found: int | None = None
    for budget in sorted(curve["token_budget"].unique(), reverse=True):
        if lowest[budget] < threshold:
            break
        found = int(budget)
    return found


def _sampled_keys(variant: Variant, scope: str, wanted: int, sample: int, seed: int) -> np.ndarray:
    """Keys at a seeded sample of the parameters in scope; NaN where the recipe leaves a parameter out."""
    layout = variant.store.layout
    in_scope = np.cumsum([0, *(layout.sizes[name] for name in names_in(layout, scope))])
    total = int(in_scope[-1])
    chosen = np.sort(np.random.default_rng(seed).choice(total, min(sample, total), replace=False, shuffle=False))
    settings = check_recipe(variant.recipe, variant.parameters)
    found = candidates(variant.store, scope, wanted, languages=settings.get("languages"))
    source = found.source(RECIPES[variant.recipe](found, **recipe_parameters(settings)))
    parts, start = [], 0
    for chunk in source():
        values = chunk.keys.numpy().astype(np.float64)
        if chunk.eligible is not None:
            values[~chunk.eligible.numpy()] = np.nan
        low, high = np.searchsorted(chosen, (start, start + len(values)))
        parts.append(values[chosen[low:high] - start])
        start += len(values)
    return np.concatenate(parts)


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < 2:
        return float("nan")
    return float(spearmanr(first[both], second[both]).statistic)
