"""One score from the languages' scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.spot.candidates import Candidates, Run

Aggregation = Literal["sum", "token-weighted", "median", "trimmed-mean"]
Trim = Annotated[float, Field(ge=0, lt=0.5)]
"""Share of the languages that a trimmed mean leaves out at either end."""
Aggregate = Callable[[Run], Float32[Tensor, " n"]]


def aggregator(candidates: Candidates, aggregation: Aggregation, trim: Trim) -> Aggregate:
    """The languages' magnitudes of any run of parameters, made one by ``aggregation``.

    ``sum``; ``token-weighted``, each language by its share of the predicted tokens; ``median``; ``trimmed-mean``,
    without floor(``trim`` * languages) at either end.
    """
    languages = len(candidates.code)
    if aggregation == "sum":
        return lambda run: run.magnitudes(candidates.code).sum(dim=0)
    if aggregation == "token-weighted":
        tokens = [candidates.store.domain(name).predicted_tokens for name in candidates.code]
        shares = torch.tensor(tokens, dtype=torch.float32) / sum(tokens)
        return lambda run: shares @ run.magnitudes(candidates.code)
    # The median is the mean of the one or two in the middle.
    left_out = (languages - 1) // 2 if aggregation == "median" else int(trim * languages)
    return lambda run: run.magnitudes(candidates.code).sort(dim=0).values[left_out : languages - left_out].mean(dim=0)
