"""Super weights: the single weights behind a model's massive activations.

A few weights of the MLPs' down projections carry activations thousands of times larger than the rest, and zeroing one
of them may break everything a model can do (Yu et al. 2024, arXiv 2411.07191; massive activations: Sun et al. 2024,
arXiv 2402.17762). A spot that contains them may owe its effect to them alone.

1. Short texts are run through the model once; what the spikes are does not depend on the text.
2. In each down projection y = W x, the largest |x_j| and the largest |y_i| over all tokens name one weight, W_ij.
3. These are ordered by how far their spikes stand out: max |y| / median |y| of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from codingspot.errors import SelectionError
from codingspot.models import LoadedModel, ParameterLayout, role_of, unique_parameters
from codingspot.models.structure import is_conv1d
from codingspot.tokenization import encode

if TYPE_CHECKING:  # it takes seconds to load
    import pandas as pd

TEXTS = (
    "The quick brown fox jumps over the lazy dog. It was a bright cold day in April.",
    "def add(a, b):\n    return a + b\n\nprint(add(1, 2))\n",
    "Question: What is the capital of France?\nAnswer: Paris.\n",
)
"""What the model reads where no texts are given."""

_Spikes = tuple[Tensor, Tensor]
"""Magnitudes of a layer's inputs [tokens, inputs] and outputs [tokens, outputs]."""


def super_weights(loaded: LoadedModel, *, count: int = 6, texts: Sequence[str] = TEXTS) -> pd.DataFrame:
    """At most ``count`` weights, one a layer, the one with the largest spike first.

    Columns: ``layer``, ``tensor``, ``output_channel`` (i), ``input_channel`` (j), ``position`` (among all the model's
    parameters), ``input_spike`` and ``output_spike`` (largest magnitude over the median of the layer's inputs and
    outputs). Every model has such a row for each layer; super weights are those whose spikes are in the hundreds.

    Raises:
        SelectionError: ``count`` is below 1, or the model has no down projection that is a linear layer.
    """
    if count < 1:
        raise SelectionError(f"{count} super weights were asked for; ask for at least one")
    layout = ParameterLayout.of(loaded.model)
    rows = []
    for name, (layer, (inputs, outputs)) in _spikes(loaded, texts).items():
        column, row = int(inputs.amax(0).argmax()), int(outputs.amax(0).argmax())
        transposed = is_conv1d(layer)  # [inputs, outputs]
        offset = column * outputs.shape[1] + row if transposed else row * inputs.shape[1] + column
        rows.append(
            {
                "layer": role_of(name).layer,
                "tensor": name,
                "output_channel": row,
                "input_channel": column,
                "position": layout.slice(name).start + offset,
                "input_spike": _stands_out(inputs),
                "output_spike": _stands_out(outputs),
            }
        )
    if not rows:
        raise SelectionError("the model has no down projection that is a linear layer, so no super weights are known")
    import pandas as pd

    table = pd.DataFrame(rows).sort_values("output_spike", ascending=False, kind="stable")
    return table.head(count).reset_index(drop=True)


def _stands_out(magnitudes: Tensor) -> float:
    return float(magnitudes.max() / magnitudes.median().clamp(min=torch.finfo(torch.float32).tiny))


@torch.no_grad()
def _spikes(loaded: LoadedModel, texts: Sequence[str]) -> dict[str, tuple[nn.Module, _Spikes]]:
    """By name of its weight, each down projection and the magnitudes that went in and came out."""
    layers = dict(_down_projections(loaded.model))
    seen: dict[str, list[_Spikes]] = {name: [] for name in layers}
    device = next(loaded.model.parameters()).device
    with _observing(layers, seen):
        for tokens in encode(loaded.tokenizer, texts):
            loaded.model(input_ids=torch.tensor([tokens], device=device), use_cache=False)
    return {
        name: (layers[name], (torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])))
        for name, found in seen.items()
        if found
    }


def _down_projections(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    names = {id(parameter): name for name, parameter in unique_parameters(model).items()}
    for layer in model.modules():
        if isinstance(layer, nn.Linear) or is_conv1d(layer):
            name = names[id(layer.weight)]
            if role_of(name).kind == "down":
                yield name, layer


@contextmanager
def _observing(layers: dict[str, nn.Module], seen: dict[str, list[_Spikes]]) -> Iterator[None]:
    def observer(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def observe(_layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            flat = (side.flatten(0, -2).abs().float().cpu() for side in (arguments[0], output))
            seen[name].append((next(flat), next(flat)))

        return observe

    handles = [layer.register_forward_hook(observer(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
