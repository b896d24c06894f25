"""Whether the numbers of a model's configuration can be those of a model: architectures build with many that can't."""

from __future__ import annotations

import math
from typing import Any

from codingspot.errors import ModelError

_COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "max_position_embeddings",
)
_AMOUNTS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
_MOST_LAYERS = 10_000


def require_plausible(source: str, config: Any) -> None:
    """Refuse a configuration with a size below 1, an impossible number of heads or layers, or a number that is none.

    Raises:
        ModelError: the message names the setting.
    """
    architectures = config.architectures or []
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise _fault(source, "architectures", architectures, "a list of names")
    text = config.get_text_config()
    require_counts(source, text)
    layers = getattr(text, "num_hidden_layers", None)
    if isinstance(layers, int) and layers > _MOST_LAYERS:
        raise _fault(source, "num_hidden_layers", layers, f"at most {_MOST_LAYERS:,}")
    heads, shared = (getattr(text, name, None) for name in ("num_attention_heads", "num_key_value_heads"))
    if isinstance(heads, int) and isinstance(shared, int) and heads % shared:
        raise _fault(source, "num_key_value_heads", shared, f"a divisor of the {heads} attention heads")
    for name in _AMOUNTS:
        value = getattr(text, name, None)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise _fault(source, name, value, "a number from 0 on")
    for theta in _rope_thetas(text):
        if isinstance(theta, int | float) and not (math.isfinite(theta) and theta > 0):
            raise _fault(source, "rope_theta", theta, "a number above 0")


def require_counts(source: str, config: Any) -> None:
    """Refuse a size or number below 1.

    Raises:
        ModelError: the message names the setting.
    """
    for name in _COUNTS:
        value = getattr(config, name, None)
        if isinstance(value, int) and value < 1:
            raise _fault(source, name, value, "at least 1")


def _rope_thetas(config: Any) -> list[Any]:
    """Bases of rotary positions: the configuration's, or those of its kinds of layer."""
    parameters = getattr(config, "rope_parameters", None)
    parameters = parameters if isinstance(parameters, dict) else {}
    nested = [inner for inner in parameters.values() if isinstance(inner, dict)]
    return [getattr(config, "rope_theta", None), *(each.get("rope_theta") for each in (parameters, *nested))]


def _fault(source: str, name: str, value: Any, expected: str) -> ModelError:
    return ModelError(f"config.json of {source} has {name} {value!r}, which must be {expected}; correct it")
