"""Paired tests between two edited models on the same items, and their correction for how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from codingspot.errors import EvaluationError


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: items right in the first alone, in the second alone, and the two-sided p-value."""

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: Sequence[float], second: Sequence[float]) -> McNemar:
    """Whether two models get the same items right, from their outcomes on the same items (right: at least one half).

    Exact conditional test: given the number of items on which they differ, those right in the first alone are
    binomial with one half (McNemar 1947; Agresti 2013, Categorical Data Analysis, section 11.1).

    Raises:
        EvaluationError: they have different numbers of items.
    """
    if len(first) != len(second):
        raise EvaluationError(f"paired models have {len(first)} and {len(second)} items; evaluate both on the same")
    one, other = np.asarray(first) >= 0.5, np.asarray(second) >= 0.5
    lost, won = int((one & ~other).sum()), int((other & ~one).sum())
    p_value = 1.0 if lost + won == 0 else float(binomtest(lost, lost + won).pvalue)
    return McNemar(lost, won, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the order given: Holm's step-down method (1979).

    The corrected value of the i-th smallest of m is the largest over j <= i of (m - j + 1) p_j, at most 1. Rejecting
    what is below a level keeps the chance of any false rejection at most that level, whatever their dependence.
    """
    order = np.argsort(np.asarray(p_values), kind="stable")
    corrected = np.empty(len(p_values))
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return [float(value) for value in corrected]


def compare_cells(
    outcomes: pd.DataFrame, pairs: Sequence[tuple[str, str]], tasks: Sequence[str], *, partial: bool = False
) -> pd.DataFrame:
    """McNemar's test of every pair of cells over the items of all ``tasks``, corrected over the pairs by Holm's method.

    With ``partial``, as after a sequential evaluation, a pair is compared on the items that both cells have.

    Columns: ``first``, ``second``, ``first_only``, ``second_only``, ``items``, ``p_value``, ``corrected``.

    Raises:
        EvaluationError: a cell lacks items that the other has.
    """
    rows = outcomes[outcomes["task"].isin(list(tasks))]
    matrix = rows.pivot(index=["task", "item"], columns="cell", values="outcome")
    found = []
    for first, second in pairs:
        both = matrix[[first, second]]
        if partial:
            both = both.dropna()
        if both.isna().any(axis=None):
            raise EvaluationError(f"cells {first!r} and {second!r} have different items; evaluate both on the same")
        test = mcnemar(both[first].tolist(), both[second].tolist())
        found.append((first, second, test.first_only, test.second_only, len(both), test.p_value))
    columns = ["first", "second", "first_only", "second_only", "items", "p_value"]
    table = pd.DataFrame(found, columns=columns)
    return table.assign(corrected=holm(table["p_value"].tolist()))
