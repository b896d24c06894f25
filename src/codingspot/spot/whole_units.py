"""The whole units that a spot is made of: where one ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from codingspot.models import UnitKind


@dataclass(frozen=True, eq=False)
class WholeUnits:
    """Units in a spot's order: the spot's positions are those of the first, then those of the second, and so on.

    Attributes:
        kind: what they are.
        numbers: of each among the model's units of that kind (:func:`codingspot.models.find_units`).
        sizes: weights of each.
    """

    kind: UnitKind
    numbers: Int64[Tensor, " units"]
    sizes: Int64[Tensor, " units"]

    def __len__(self) -> int:
        return len(self.numbers)

    def within(self, parameters: int) -> WholeUnits:
        """The first units that are whole among so many parameters."""
        count = int((self.sizes.cumsum(0) <= parameters).sum())
        return WholeUnits(self.kind, self.numbers[:count], self.sizes[:count])

    @property
    def parameters(self) -> int:
        """Weights of all of them."""
        return int(self.sizes.sum())
