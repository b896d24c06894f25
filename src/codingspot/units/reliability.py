"""Whether another sample of text would have found the same units.

The text is read in disjoint draws, in the same pass that finds the spot. What two of them select is set beside what two
random selections of that many units share (hypergeometric).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

from codingspot.importance.draws import disjoint_groups
from codingspot.models import UnitKind, Units
from codingspot.spot import Spot, TrainingInput, WholeUnits
from codingspot.units.ranking import UnitSettings, draws_read, rank

if TYPE_CHECKING:  # it takes seconds to load
    import pandas as pd


def selected_by_draws(
    given: TrainingInput, units: Units, settings: UnitSettings, eligible: Bool[Tensor, " units"], parameters: int
) -> pd.DataFrame | None:
    """The best units of at most so many ``parameters`` by each draw of the text; None where there is one draw.

    ``draws`` are the draws one by one, ``halves`` the two largest equal parts that they make together. Columns as
    :attr:`codingspot.spot.MeasuredSpot.drawn`.
    """
    groups = list(disjoint_groups(range(draws_read(given, settings))))
    if not groups:
        return None
    import pandas as pd

    inside = units.inside(given.scope)
    parts = []
    for split, chosen in (("halves", groups[-1][:2]), ("draws", groups[0])):
        for number, draws in enumerate(chosen):
            ranked = rank(given, units, settings, inside, draws)
            order = ranked.order(eligible, worst_first=given.worst_first)
            best = WholeUnits(units.kind, order, units.sizes[order]).within(parameters)
            columns = {"rank": range(1, len(best) + 1), "number": best.numbers, "parameters": best.sizes}
            parts.append(pd.DataFrame({"split": split, "draw": number, **columns}))
    return pd.concat(parts, ignore_index=True)


def unit_reliability(spot: Spot, drawn: pd.DataFrame, k_percents: Sequence[float]) -> pd.DataFrame:
    """How far draws of text select the same whole units: every pair of a split at every k.

    Args:
        spot: what all the text finds.
        drawn: what each draw finds (:attr:`codingspot.spot.MeasuredSpot.drawn`).
        k_percents: of all the model's parameters, at most the spot's own.

    Columns: ``split``, ``first``, ``second`` (draws), ``unit`` (kind), ``k_percent``, ``units`` and ``other_units``
    (selected by either), and those of :func:`codingspot.spot.overlap.beside_chance`, among the eligible units.
    """
    import pandas as pd

    return pd.DataFrame(list(_pairs(spot, drawn, k_percents)))


def _pairs(spot: Spot, drawn: pd.DataFrame, k_percents: Sequence[float]) -> Iterator[dict[str, object]]:
    from codingspot.spot.overlap import beside_chance  # it loads pandas and scipy

    about = spot.metadata["units"]
    for split, rows in drawn.groupby("split", sort=False):
        found = {draw: _whole(about["kind"], own) for draw, own in rows.groupby("draw")}
        for first, second in combinations(found, 2):
            for k in k_percents:
                one, other = (found[draw].within(spot.count(k)).numbers for draw in (first, second))
                yield {
                    "split": split,
                    "first": first,
                    "second": second,
                    "unit": about["kind"],
                    "k_percent": k,
                    "units": len(one),
                    "other_units": len(other),
                    **beside_chance(one, other, int(about["eligible"])),
                }


def _whole(kind: UnitKind, rows: pd.DataFrame) -> WholeUnits:
    return WholeUnits(kind, torch.tensor(rows["number"].tolist()), torch.tensor(rows["parameters"].tolist()))
