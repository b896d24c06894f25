"""One score from the languages' scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float32
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.spot.candidates import Candidates, Run

Aggregation = Literal["sum", "token-weighted", "median", "trimmed-mean"]
Aggregate = Callable[[Run], Float32[Tensor, " n"]]


def aggregator(candidates: Candidates, aggregation: Aggregation, trim: float) -> Aggregate:
    """The languages' magnitudes of any run of parameters, made one by ``aggregation``.

    ``sum``; ``token-weighted``, each language by its share of the predicted tokens; ``median``; ``trimmed-mean``,
    without floor(``trim`` * languages) at either end.

    Raises:
        SelectionError: ``trim`` is not in [0, 0.5).
    """
    languages = len(candidates.code)
    if aggregation == "sum":
        return lambda run: run.magnitudes(candidates.code).sum(dim=0)
    if aggregation == "token-weighted":
        tokens = [candidates.store.domain(name).predicted_tokens for name in candidates.code]
        shares = torch.tensor(tokens, dtype=torch.float32) / sum(tokens)
        return lambda run: shares @ run.magnitudes(candidates.code)
    if not 0 <= trim < 0.5:
        raise SelectionError(f"trim is {trim}; it is the share left out at either end: at least 0 and below 0.5")
    # The median is the mean of the one or two in the middle.
    left_out = (languages - 1) // 2 if aggregation == "median" else int(trim * languages)
    return lambda run: run.magnitudes(candidates.code).sort(dim=0).values[left_out : languages - left_out].mean(dim=0)
