"""MathNeuro (Christ et al. 2024, arXiv 2410.16930): top weights for the ability without those for general text.

A weight's score on a kind of text is the sum over its sequences of |W_ij| ||x_j||, with ||x_j|| the norm of its input
over the sequence's tokens; Wanda's is the norm over all of the text (``norms="text"``). Chosen is what is in the top p%
of its tensor on code and not in the top p% on general text. The paper tries p from 0.01 to 15.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor, nn

from codingspot.bench.methods import METHODS, BenchInput, MethodTraits, Texts
from codingspot.bench.rankings.tensor_sets import set_difference_in_tensors
from codingspot.importance import DomainInput
from codingspot.importance.activations import as_rows, linear_statistics
from codingspot.models import LoadedModel, ParameterLayout, unique_parameters

Norms = Literal["sequence", "text"]


@METHODS.register(
    "mathneuro",
    label="MathNeuro",
    reference="arXiv 2410.16930",
    traits=MethodTraits(variants=({"norms": "text"}, {"percent": 15.0})),
)
def mathneuro(
    bench: BenchInput, *, norms: Norms = "sequence", percent: Annotated[float, Field(gt=0, le=100)] = 5.0
) -> Float32[Tensor, " parameters"]:
    """The top of each tensor for code by |weight| times activation, without its top for general text."""
    code, general = (summed_products(bench.loaded, texts, norms) for texts in bench.texts)
    return set_difference_in_tensors(
        ParameterLayout.of(bench.loaded.model),
        code.__getitem__,
        general.__getitem__,
        code_percent=percent,
        general_percent=percent,
    )


def summed_products(loaded: LoadedModel, texts: Texts, norms: Norms) -> dict[str, Tensor]:
    """By the name of each linear layer's weight, |W_ij| times the norms of its inputs on all the texts."""
    weights = unique_parameters(loaded.model)
    power = 1 if norms == "sequence" else 2

    def norms_to_power(inputs: Tensor, _outputs: Tensor) -> Tensor:
        norms_of_inputs: Tensor = torch.linalg.vector_norm(inputs.float(), dim=0)
        return norms_of_inputs**power

    layers: dict[str, nn.Module] = {}
    sums: dict[str, Tensor] = {}
    for tokens in texts.values():
        one_sequence = DomainInput(loaded.model, tokens, weights, micro_batch_tokens=1)
        for name, (layer, found) in linear_statistics(one_sequence, norms_to_power).items():
            layers[name] = layer
            sums[name] = sums[name] + found if name in sums else found
    return {
        name: as_rows(layer, as_rows(layer, weights[name].detach()).abs().float() * sums[name] ** (1 / power)).cpu()
        for name, layer in layers.items()
    }
