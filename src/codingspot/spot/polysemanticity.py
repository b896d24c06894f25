"""Whether a spot's parameters serve one domain or many: how evenly each one's score is shared among the domains.

With m_d the magnitude of a parameter's score for domain d (the loss a mean over the domain's tokens) and D domains, its
share of domain d is p_d = m_d / sum m, and its normalised entropy H = -sum p_d log p_d / log D: 0 where one domain has
all of its score, 1 where all have alike. A parameter that matters to no domain has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from scipy.stats import binom
from torch import Tensor

from codingspot.corpus import DomainKind
from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.spot.spot import Spot

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def domain_shares(store: ScoreStore, positions: Int64[Tensor, " n"]) -> Float64[np.ndarray, "n domains"]:
    """Each parameter's share of its score from every domain of the store, in its order; NaN where all scores are 0.

    Raises:
        SelectionError: the store has fewer than two domains.
    """
    if len(store.domains) < 2:
        raise SelectionError("shares need scores of at least two domains; score another")
    # Shares are of magnitudes in one unit, whatever the store normalises them by when it ranks.
    store = store.with_normalisation("tokens")
    magnitudes = np.empty((len(positions), len(store.domains)))
    for name, located in store.layout.locate(positions).items():
        offsets, rows = located.offsets, located.source.numpy()
        first, last = int(offsets.min()), int(offsets.max()) + 1
        for column, domain in enumerate(store.domains):
            part = store.magnitude(domain.name, name, first, last)
            magnitudes[rows, column] = part[offsets - first].double().numpy()
    with np.errstate(invalid="ignore"):
        return np.asarray(magnitudes / magnitudes.sum(axis=1, keepdims=True))


def normalised_entropy(shares: Float64[np.ndarray, "n domains"]) -> Float64[np.ndarray, " n"]:
    """H of each row of shares, in [0, 1]; NaN where the shares are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, -shares * np.log(shares), shares)
    return np.asarray(terms.sum(axis=1) / np.log(shares.shape[1]))


@dataclass(frozen=True)
class Shares:
    """The shares of a spot's parameters, or of a random control of it, in the spot's order.

    ``seed`` is None for the spot itself; ``domains`` has the name and kind of each column.
    """

    seed: int | None
    spot: Spot
    domains: tuple[tuple[str, DomainKind], ...]
    values: Float64[np.ndarray, "n domains"]

    def top(self, k_percent: float) -> NDArray[np.float64]:
        """The shares of the parameters of a dose."""
        return self.values[: len(self.spot.top(k_percent))]

    def columns(self, k_percent: float) -> dict[str, object]:
        """What names a row of a table: group (spot or random), seed and dose."""
        return {"group": "spot" if self.seed is None else "random", "seed": self.seed, "k_percent": k_percent}


def measure_shares(store: ScoreStore, spot: Spot, controls: Mapping[int, Spot]) -> tuple[Shares, ...]:
    """The shares of a spot, then those of its random controls, given by seed.

    Raises:
        SelectionError: the store has fewer than two domains.
    """
    domains = tuple((domain.name, domain.kind) for domain in store.domains)
    named: list[tuple[int | None, Spot]] = [(None, spot), *controls.items()]
    return tuple(Shares(seed, each, domains, domain_shares(store, each.positions)) for seed, each in named)


def polysemanticity(shares: Sequence[Shares], k_percents: Sequence[float]) -> pd.DataFrame:
    """Quantiles of the normalised entropy of a spot's parameters at every k, and of each control's.

    Columns: ``group`` (spot or random), ``seed`` (missing for the spot), ``k_percent``, ``parameters``, ``undefined``
    (those without a score, which are left out), ``mean``, the quantiles ``q05``, ``q25``, ``q50``, ``q75``, ``q95``,
    and ``q50_low``, ``q50_high``, the median's 95% interval from order statistics (binomial).

    Raises:
        SelectionError: k exceeds a spot.
    """
    rows = [{**each.columns(k), **_summary(normalised_entropy(each.top(k)))} for each in shares for k in k_percents]
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def shares_by_domain(shares: Sequence[Shares], k_percents: Sequence[float]) -> pd.DataFrame:
    """Mean share of the score that each domain has in a spot's parameters at every k, and in each control's.

    Columns: ``group``, ``seed``, ``k_percent``, ``domain``, ``kind``, ``share`` (missing where no parameter has a
    score).

    Raises:
        SelectionError: k exceeds a spot.
    """
    rows = []
    for each in shares:
        for k in k_percents:
            found = each.top(k)
            defined = found[~np.isnan(found).any(axis=1)]
            means = defined.mean(axis=0).tolist() if len(defined) else [float("nan")] * len(each.domains)
            rows += [
                {**each.columns(k), "domain": name, "kind": kind, "share": mean}
                for (name, kind), mean in zip(each.domains, means, strict=True)
            ]
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def _summary(entropies: NDArray[np.float64]) -> dict[str, float]:
    defined = np.sort(entropies[~np.isnan(entropies)])
    counts: dict[str, float] = {"parameters": len(entropies), "undefined": len(entropies) - len(defined)}
    names = [f"q{100 * quantile:02.0f}" for quantile in QUANTILES]
    if len(defined) == 0:
        return {**counts, **dict.fromkeys(("mean", *names, "q50_low", "q50_high"), float("nan"))}
    quantiles = dict(zip(names, np.quantile(defined, QUANTILES).tolist(), strict=True))
    low, high = median_ranks(len(defined))
    return {
        **counts,
        "mean": float(defined.mean()),
        **quantiles,
        "q50_low": float(defined[low]),
        "q50_high": float(defined[high]),
    }


def median_ranks(n: int) -> tuple[int, int]:
    """Indices into n sorted values between which the median lies with 95% confidence or more, whatever its law.

    The number of values below the median is binomial with one half (Conover 1999, section 3.2); with few values the
    interval is from the smallest to the largest.
    """
    low = max(0, int(binom.ppf(0.025, n, 0.5)) - 1)
    return low, n - 1 - low
