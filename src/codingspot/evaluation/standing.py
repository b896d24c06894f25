"""Where a spot stands among draws of its controls: a rank test of whether it could be one of them.

1. How *selective* an edit is, is read off the losses of held-out text: the mean change over the languages less the
   largest over the general domains, nats a token. One that more than doubles the perplexity of a general domain isn't
   selective at all, whatever it does to code.
2. Of several doses, the spot and every draw are each taken at the one at which they are most selective themselves, so
   that choosing a dose costs the test nothing.
3. p = (1 + draws at least as selective as the spot) / (1 + draws): a Monte Carlo test (Phipson and Smyth 2010,
   Statistical Applications in Genetics and Molecular Biology 9), whose level holds whatever the spread of the draws. A
   spot that is one of them is the most selective one in 1 of 1 + draws cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PERPLEXITY_LIMIT: Final = 2.0
"""Factor on a general domain's perplexity above which general ability doesn't count as kept."""
LEVEL: Final = 0.05
"""Largest p-value at which a spot counts as outside the spread of its draws."""
DRAWS_NEEDED: Final = round(1 / LEVEL) - 1
"""Draws with which p can reach the level."""


@dataclass(frozen=True)
class Standing:
    """A spot among draws of one control: how selective it and each of them is."""

    spot: float
    draws: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """Chance that one of the draws, put in the spot's place, would be as selective among the others."""
        return (1 + sum(draw >= self.spot for draw in self.draws)) / (1 + len(self.draws))

    @property
    def can_reach_level(self) -> bool:
        """Whether there are draws enough for p to be as small as the level."""
        return len(self.draws) >= DRAWS_NEEDED

    @property
    def outside(self) -> bool:
        """Whether p is at most the level."""
        return self.p_value <= LEVEL


def selectivity_by_losses(code: Sequence[float], general: Sequence[float]) -> float | None:
    """Mean change of loss over code less the largest over general text; None where there is none of a kind.

    Minus infinity where the perplexity of a general domain rises more than :data:`PERPLEXITY_LIMIT`-fold.

    Args:
        code, general: changes of each domain of the kind, nats a token; infinite where the output is not a number.
    """
    if not code or not general:
        return None
    if not max(general) <= math.log(PERPLEXITY_LIMIT):
        return -math.inf
    return sum(code) / len(code) - max(general)


def stand(spot: Iterable[float], draws: Sequence[Iterable[float]]) -> Standing:
    """The spot and draws of one control, each by how selective it is at the same doses."""
    return Standing(max(spot), tuple(map(max, draws)))
