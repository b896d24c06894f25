"""Whether a spot's parameters serve one domain or many: how evenly each one's score is shared among the domains.

With m_d the magnitude of a parameter's score for domain d (the loss a mean over the domain's tokens) and D domains, its
share of domain d is p_d = m_d / sum m, and its normalised entropy H = -sum p_d log p_d / log D: 0 where one domain has
all of its score, 1 where all have alike. A parameter that matters to no domain has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from codingspot.spot.gathering import gather
from codingspot.spot.spot import Spot

MOST = 1 << 18
"""Parameters of one dose whose shares are taken at most."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def domain_shares(
    store: ScoreStore,
    selections: Sequence[Int64[Tensor, " _"]],
    progress: Callable[[float], None] = lambda _: None,
) -> list[Float64[np.ndarray, "_ domains"]]:
    """Each parameter's share of its score from every domain of the store, for several selections in one pass.

    In the selections' order; NaN where all scores are 0. Shares are of magnitudes in one unit, whatever the store
    normalises them by when it ranks.

    Raises:
        SelectionError: the store has fewer than two domains.
    """
    if len(store.domains) < 2:
        raise SelectionError("shares need scores of at least two domains; score another")
    found = [np.empty((len(positions), len(store.domains))) for positions in selections]
    for selection, rows, scores in gather(store, selections, progress=progress):
        found[selection][rows.numpy()] = scores.abs().double().numpy().T
    with np.errstate(invalid="ignore"):
        for magnitudes in found:
            magnitudes /= magnitudes.sum(axis=1, keepdims=True)
    return found


def normalised_entropy(shares: Float64[np.ndarray, "n domains"]) -> Float64[np.ndarray, " n"]:
    """H of each row of shares, in [0, 1]; NaN where the shares are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, -shares * np.log(shares), shares)
    return np.asarray(terms.sum(axis=1) / np.log(shares.shape[1]))


@dataclass(frozen=True)
class Shares:
    """The shares of a spot's parameters, or of a random control of it, at every dose: in order of the doses.

    ``seed`` is None for the spot itself; ``domains`` has the name and kind of each column.
    """

    seed: int | None
    k_percents: tuple[float, ...]
    domains: tuple[tuple[str, DomainKind], ...]
    values: tuple[Float64[np.ndarray, "_ domains"], ...]

    def rows(self) -> Iterator[tuple[dict[str, object], Float64[np.ndarray, "n domains"]]]:
        """What names a row of a table (group, spot or random, seed and dose), and the shares of each dose."""
        group = "spot" if self.seed is None else "random"
        for k, values in zip(self.k_percents, self.values, strict=True):
            yield {"group": group, "seed": self.seed, "k_percent": k}, values


@dataclass(frozen=True)
class Asked:
    """A spot, or with ``seed`` a random control of it, and the doses at which its shares are wanted."""

    spot: Spot
    k_percents: tuple[float, ...]
    seed: int | None = None


def measure_shares(
    store: ScoreStore,
    asked: Sequence[Asked],
    *,
    most: int = MOST,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Shares]:
    """The shares of all that is asked for, in one pass over the store.

    Of a dose with more than ``most`` parameters, as many are drawn by a fixed seed.

    Raises:
        SelectionError: the store has fewer than two domains.
    """
    domains = tuple((domain.name, domain.kind) for domain in store.domains)
    selections = [_drawn(each.spot.top(k).positions, most) for each in asked for k in each.k_percents]
    found = iter(domain_shares(store, selections, progress))
    return [Shares(each.seed, each.k_percents, domains, tuple(next(found) for _ in each.k_percents)) for each in asked]


def _drawn(positions: Int64[Tensor, " n"], most: int) -> Int64[Tensor, " m"]:
    if len(positions) <= most:
        return positions
    return positions[np.random.default_rng(0).choice(len(positions), most, replace=False)]


def polysemanticity(shares: Sequence[Shares]) -> pd.DataFrame:
    """Quantiles of the normalised entropy of a spot's parameters at every k, and of each control's.

    Columns: ``group`` (spot or random), ``seed`` (missing for the spot), ``k_percent``, ``parameters`` (measured),
    ``undefined`` (those without a score, which are left out), ``mean``, the quantiles ``q05``, ``q25``, ``q50``,
    ``q75``, ``q95``, and ``q50_low``, ``q50_high``, the median's 95% interval from order statistics (binomial).
    """
    rows = [{**names, **_summary(normalised_entropy(values))} for each in shares for names, values in each.rows()]
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def shares_by_domain(shares: Sequence[Shares]) -> pd.DataFrame:
    """Mean share of the score that each domain has in a spot's parameters at every k, and in each control's.

    Columns: ``group``, ``seed``, ``k_percent``, ``domain``, ``kind``, ``share`` (missing where no parameter has a
    score).
    """
    rows = []
    for each in shares:
        for names, found in each.rows():
            defined = found[~np.isnan(found).any(axis=1)]
            means = defined.mean(axis=0).tolist() if len(defined) else [float("nan")] * len(each.domains)
            rows += [
                {**names, "domain": name, "kind": kind, "share": mean}
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
