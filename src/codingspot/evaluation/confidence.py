"""Confidence sequences for the mean of a finite list whose items are drawn without replacement, by betting.

Waudby-Smith and Ramdas 2024, 'Estimating means of bounded random variables by betting' (JRSS-B 86, sections 4 and 5):

1. The list has N values in [low, high]. If its mean were m, then after the items x_1 .. x_{t-1} the next item, drawn
   uniformly from those left, would have the mean mu_t(m) = (N m - sum_{i<t} x_i) / (N - t + 1).
2. A gambler who bets on larger values has the capital K_t(m) = prod_i 1 + lambda_i(m) (x_i - mu_i(m)), and no bet with
   0 <= lambda_i <= 1 / (mu_i - low) can lose all; one who bets on smaller values likewise. For the true mean each is a
   martingale of mean 1, so the chance that it ever reaches 2 / alpha is at most alpha / 2 (Ville's inequality).
3. Each gambler divides the capital among a few shares f of the largest bet, lambda = f / (mu_i - low), chosen before
   any item is seen: a mean of martingales is one.
4. The means at which neither has reached 2 / alpha are the confidence interval, at every t at once, so that looking
   after every item and stopping at will costs no validity. A mean that can no longer be reached (mu_t outside
   [low, high]) is excluded for certain; after all N items only the mean itself is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codingspot.errors import EvaluationError
from codingspot.evaluation.statistics import Interval

Array = NDArray[np.float64]

BETS = (0.25, 0.5, 1.0)
"""Shares of the largest possible bet, among which each gambler's capital is divided."""

_ROUNDING = 1e-9


@dataclass
class MeanSequence:
    """The interval for the mean of ``population`` values in [``low``, ``high``], as items are added.

    ``alpha`` is the chance that the interval ever misses the mean. Candidates for the mean are ``resolution`` numbers
    from low to high; between neighbouring ones the interval is widened to the outer.
    """

    population: int
    low: float = 0.0
    high: float = 1.0
    alpha: float = 0.05
    resolution: int = 1001

    def __post_init__(self) -> None:
        if self.population < 1 or not self.low < self.high or not 0 < self.alpha < 1:
            raise EvaluationError(
                f"a confidence sequence needs items, low < high and alpha in (0, 1), not {self.population} items, "
                f"[{self.low}, {self.high}] and {self.alpha}"
            )
        self.seen = 0
        self._sum = 0.0
        self._means = np.linspace(0.0, 1.0, self.resolution)
        self._alive = np.ones(self.resolution, dtype=bool)
        shape = (len(BETS), self.resolution)
        self._logs = {direction: np.zeros(shape) for direction in (1, -1)}

    def add(self, values: ArrayLike) -> None:
        """Add the next items, in the order in which they were drawn.

        Raises:
            EvaluationError: there are more than the population, or one is outside [low, high].
        """
        for value in np.atleast_1d(np.asarray(values, dtype=np.float64)):
            scaled = (float(value) - self.low) / (self.high - self.low)
            if self.seen == self.population or not -_ROUNDING <= scaled <= 1 + _ROUNDING:
                raise EvaluationError(
                    f"item {self.seen + 1} of {self.population} is {value}, outside [{self.low}, {self.high}] or one "
                    "too many"
                )
            self._add(min(max(scaled, 0.0), 1.0))

    def _add(self, value: float) -> None:
        left = self.population - self.seen
        expected = (self.population * self._means - self._sum) / left
        possible = (expected >= -_ROUNDING) & (expected <= 1 + _ROUNDING)
        expected = np.clip(expected, 0.0, 1.0)
        threshold = np.log(2 / self.alpha)
        for direction, logs in self._logs.items():
            # At worst the item is at the other end: at 0 for the one who bets on larger values.
            worst = expected if direction == 1 else 1 - expected
            with np.errstate(divide="ignore", invalid="ignore"):
                gain = np.where(worst > 0, direction * (value - expected) / worst, 0.0)
                logs += np.log1p(np.maximum(np.asarray(BETS)[:, None] * gain, -1.0))
            capital = np.logaddexp.reduce(logs, axis=0) - np.log(len(BETS))
            self._alive &= capital < threshold
        self._sum += value
        self.seen += 1
        self._alive &= possible & self._reachable()

    def _reachable(self) -> NDArray[np.bool_]:
        """Candidates that the items left could still make, up to the step between candidates."""
        left, step = self.population - self.seen, 1 / (self.resolution - 1)
        totals = self.population * self._means - self._sum
        slack = self.population * step
        return np.asarray((totals >= -slack) & (totals <= left + slack))

    @property
    def interval(self) -> Interval:
        """The values that the mean may have, in the units of the items."""
        # What the items seen leave possible is certain; what the bets leave is widened to the next candidate.
        least, most = self._sum / self.population, (self._sum + self.population - self.seen) / self.population
        alive = np.flatnonzero(self._alive)
        if len(alive) and self.seen < self.population:
            step = 1 / (self.resolution - 1)
            low, high = max(least, self._means[alive[0]] - step), min(most, self._means[alive[-1]] + step)
            least, most = (low, high) if low <= high else (least, most)
        span = self.high - self.low
        return Interval(self.low + span * float(least), self.low + span * float(most))
