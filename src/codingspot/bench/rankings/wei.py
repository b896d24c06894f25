"""Set differences of weights' scores, tensor by tensor (Wei et al. 2024, arXiv 2402.05162).

A weight is for code if it is in the top q% of its tensor by its score on code and not in the top p% by that on general
text; p = q = 10 is the released code's example. The score is SNIP, the mean over sequences of |theta g|, or Wanda,
|theta| ||x||, compared over the tensor as the released code does. Scores of several languages are added up; of several
general domains a weight's largest counts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
from codingspot.bench.rankings.tensor_sets import set_difference_in_tensors

Percent = Annotated[float, Field(gt=0, le=100)]
Score = Literal["snip", "wanda"]

_ESTIMATED: dict[str, tuple[str, dict[str, Any]]] = {
    "snip": ("taylor", {"reduction": "sequence"}),
    "wanda": ("wanda", {"comparison": "layer"}),
}
"""Each score as an estimator and its parameters."""


@METHODS.register(
    "set_difference_in_tensors", reference="arXiv 2402.05162", traits=MethodTraits(variants=({"score": "wanda"},))
)
def wei_set_difference(
    bench: BenchInput, *, score: Score = "snip", code_percent: Percent = 10.0, general_percent: Percent = 10.0
) -> Float32[Tensor, " parameters"]:
    """The top of each tensor for code without its top for general text, by SNIP or Wanda (arXiv 2402.05162)."""
    estimator, parameters = _ESTIMATED[score]
    store = bench.scores(estimator, **parameters)

    def magnitudes(domain: str, name: str) -> Tensor:
        return store.magnitude(domain, name, 0, store.layout.sizes[name])

    code, general = store.names("code"), store.names("general")
    return set_difference_in_tensors(
        store.layout,
        lambda name: torch.stack([magnitudes(domain, name) for domain in code]).sum(0),
        lambda name: torch.stack([magnitudes(domain, name) for domain in general]).amax(0),
        code_percent=code_percent,
        general_percent=general_percent,
    )
