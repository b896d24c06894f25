"""A student of fewer layers: which of its teacher's layers it keeps, and their weights.

Layers are spread evenly from the first to the last, or are those where a spot is densest or least dense. They stay in
their order and are numbered anew; settings of the configuration that have a value a layer keep the values of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

from transformers import PreTrainedModel

from codingspot.errors import ModelError, SelectionError
from codingspot.models.finding import FoundModel, build, first_line
from codingspot.models.roles import in_layer, role_of
from codingspot.spot import Spot, density

Keep = Literal["even", "dense", "sparse"]


def kept_layers(model: PreTrainedModel, count: int, keep: Keep = "even", spot: Spot | None = None) -> tuple[int, ...]:
    """The layers that a student keeps.

    Raises:
        SelectionError: the model hasn't more layers than that.
    """
    config: Any = model.config.get_text_config()
    layers = int(config.num_hidden_layers)
    if count >= layers:
        raise SelectionError(f"the model has {layers} layers, and a student has fewer than its teacher; lower --layers")
    if keep == "even":
        step = (layers - 1) / max(count - 1, 1)
        return tuple(round(index * step) for index in range(count))
    assert spot is not None
    shares = layer_densities(spot)
    order = sorted(range(layers), key=lambda layer: (shares[layer] if keep == "sparse" else -shares[layer], layer))
    return tuple(sorted(order[:count]))


def layer_densities(spot: Spot) -> dict[int, float]:
    """The share of each layer's parameters that a spot selects."""
    sums = density(spot).dropna(subset="layer").groupby("layer")[["selected", "parameters"]].sum()
    shares = sums["selected"] / sums["parameters"]
    return dict(zip(shares.index.tolist(), shares.tolist(), strict=True))


def student_of(teacher: PreTrainedModel, found: FoundModel, layers: Sequence[int]) -> PreTrainedModel:
    """A model of these layers of the teacher, with its weights, in float32.

    Raises:
        SelectionError: what the configuration makes with so many layers has other weights.
    """
    places = {layer: place for place, layer in enumerate(layers)}
    weights = {}
    for name, tensor in teacher.state_dict().items():
        layer = role_of(name).layer
        if layer is None or layer in places:
            weights[name if layer is None else in_layer(name, places[layer])] = tensor.float()
    try:
        student: Any = build(replace(found, config=_shortened(found.config, layers)), device="cpu")
        student.load_state_dict(weights)
    except (ModelError, RuntimeError, ValueError) as error:
        raise SelectionError(
            f"these layers of {found.id} can't stand alone, since its configuration makes others of so many "
            f"({first_line(error)}); keep other layers"
        ) from None
    student.generation_config = teacher.generation_config
    made: PreTrainedModel = student.to(teacher.device)
    return made


def _shortened(config: Any, layers: Sequence[int]) -> Any:
    """The configuration of these layers; made anew from what is saved of it, as whoever loads the student does."""
    made = deepcopy(config)
    text = made.get_text_config()
    for name, value in text.to_dict().items():
        if "layer" in name and isinstance(value, list | tuple) and len(value) == text.num_hidden_layers:
            setattr(text, name, [value[layer] for layer in layers])
    text.num_hidden_layers = len(layers)
    return type(made).from_dict(made.to_dict())
