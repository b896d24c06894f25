"""Whether another sample of text would have found the same spot.

Stores scored on different text (halves of a corpus, draws by other seeds) rank the parameters anew. What their top k%
share (Jaccard) is set beside what two random selections of that size share, and the whole order is compared too
(Spearman).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.models import role_of
from codingspot.models.roles import SCOPES
from codingspot.spot.agreement import Variant, agreement
from codingspot.spot.overlap import chance_jaccard
from codingspot.spot.selection import count_for


def reliability(
    draws: Sequence[ScoreStore],
    k_percents: Sequence[float],
    *,
    recipe: str = "sum",
    scope: str = "all",
    parameters: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """How far a recipe finds the same spot in stores scored on different text: all pairs of ``draws``, at every k.

    Columns: ``k_percent``, ``parameters`` (in each selection), ``pairs``, ``jaccard`` (mean over pairs),
    ``lowest_jaccard``, ``highest_jaccard``, ``expected_jaccard`` and ``chance_jaccard`` (expectation and 0.95 quantile
    for independent random selections in the scope, hypergeometric), ``spearman`` (mean over pairs, of the keys of a
    seeded sample of the parameters in scope), ``lowest_spearman``.

    Raises:
        SelectionError: there are fewer than two draws, they are of different models, or k is not in (0, 100].
    """
    if len(draws) < 2:
        raise SelectionError(f"reliability needs at least two draws of text, not {len(draws)}; score more")
    variants = {str(number): Variant(store, recipe, parameters or {}) for number, store in enumerate(draws)}
    pairs = agreement(variants, k_percents, scope=scope)
    layout = draws[0].layout
    population = sum(size for name, size in layout.sizes.items() if SCOPES[scope](role_of(name)))
    table = pairs.groupby("k_percent", as_index=False).agg(
        pairs=("jaccard", "size"),
        jaccard=("jaccard", "mean"),
        lowest_jaccard=("jaccard", "min"),
        highest_jaccard=("jaccard", "max"),
        expected_jaccard=("expected_jaccard", "mean"),
        spearman=("spearman", "mean"),
        lowest_spearman=("spearman", "min"),
    )
    counts = [count_for(k, layout.total) for k in table["k_percent"]]
    table.insert(1, "parameters", counts)
    table.insert(7, "chance_jaccard", [chance_jaccard(n, n, population) for n in counts])
    return table
