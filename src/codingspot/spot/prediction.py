"""What first order says an edit will do to each domain's loss.

A signed score is I = theta * dL/dtheta, with L the domain's mean loss in nats a token. An edit that multiplies a weight
by a factor f changes it by (f - 1) theta, and so the loss, to first order, by (f - 1) I: for zeroing by -I. Summed over
a spot, that is its predicted change of loss; where the actual one is far from it, the scores ranked parameters by a
quantity that the edit leaves (Molchanov et al. 2019, arXiv 1906.10771).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from codingspot.importance import ScoreStore
from codingspot.spot.gathering import gather
from codingspot.spot.spot import Spot


@dataclass(frozen=True)
class Scaled:
    """A spot whose top k% are multiplied by ``factor``, at every k of ``k_percents``. A shorter spot is taken whole."""

    spot: Spot
    k_percents: tuple[float, ...]
    factor: float = 0.0


def predicted_changes(
    store: ScoreStore, scaled: Sequence[Scaled], progress: Callable[[float], None] = lambda _: None
) -> list[pd.DataFrame]:
    """First-order change of every scored domain's loss (nats a token), for several spots in one pass over the store.

    A table for each. Columns: ``k_percent``, ``parameters``, ``domain``, ``kind``, ``predicted``.
    """
    ends = [np.array([min(each.spot.count(k), len(each.spot)) for k in each.k_percents]) for each in scaled]
    sums = [np.zeros((len(store.domains), len(each.k_percents))) for each in scaled]
    for selection, rows, scores in gather(store, [each.spot.positions for each in scaled], progress=progress):
        values = scores.double().numpy()
        for dose, end in enumerate(ends[selection]):
            sums[selection][:, dose] += values[:, rows.numpy() < end].sum(axis=1)
    return [
        pd.DataFrame(
            {
                "k_percent": k,
                "parameters": int(end),
                "domain": domain.name,
                "kind": domain.kind,
                "predicted": float((each.factor - 1) * summed[number, dose]),
            }
            for number, domain in enumerate(store.domains)
            for dose, (k, end) in enumerate(zip(each.k_percents, own_ends, strict=True))
        )
        for each, own_ends, summed in zip(scaled, ends, sums, strict=True)
    ]
