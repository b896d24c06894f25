"""What first order says an edit will do to each domain's loss.

A signed score is I = theta * dL/dtheta, with L the domain's mean loss in nats a token. An edit that multiplies a weight
by a factor f changes it by (f - 1) theta, and so the loss, to first order, by (f - 1) I: for zeroing by -I. Summed over
a spot, that is its predicted change of loss; where the actual one is far from it, the scores ranked parameters by a
quantity that the edit leaves (Molchanov et al. 2019, arXiv 1906.10771).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float64
from torch import Tensor

from codingspot.importance import ScoreStore
from codingspot.spot.spot import Spot


def predicted_changes(
    store: ScoreStore, spot: Spot, k_percents: Sequence[float], *, factor: float = 0.0
) -> pd.DataFrame:
    """First-order change of every scored domain's loss (nats a token) when a spot's top k% are multiplied by a factor.

    Columns: ``k_percent``, ``parameters``, ``domain``, ``kind``, ``predicted``. A spot shorter than a dose is taken
    whole.
    """
    ends = [min(spot.count(k), len(spot)) for k in k_percents]
    rows = []
    for domain in store.domains:
        summed = np.concatenate([[0.0], np.cumsum(signed_scores(store, domain.name, spot.positions))])
        for k, end in zip(k_percents, ends, strict=True):
            row = {"k_percent": k, "parameters": end, "domain": domain.name, "kind": domain.kind}
            rows.append({**row, "predicted": float((factor - 1) * summed[end])})
    return pd.DataFrame(rows)


def signed_scores(store: ScoreStore, domain: str, positions: Tensor) -> Float64[np.ndarray, " n"]:
    """The signed scores of one domain at some positions, in their order."""
    values = np.empty(len(positions))
    for name, located in store.layout.locate(positions).items():
        first, last = int(located.offsets.min()), int(located.offsets.max()) + 1
        part = store.part(domain, name, first, last)
        values[located.source.numpy()] = part[located.offsets - first].double().numpy()
    return values
