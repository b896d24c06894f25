"""The hidden states of every layer, from one forward pass without the output head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from codingspot.errors import ModelError

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def state_count(model: PreTrainedModel) -> int:
    """Number of hidden states: the embeddings and one a layer."""
    return int(model.config.get_text_config().num_hidden_layers) + 1


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens that the model reads."""
    known = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(min(known or tokenizer.model_max_length, tokenizer.model_max_length))


@torch.no_grad()
def hidden_states(model: PreTrainedModel, input_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Hidden states ``[rows, length, width]`` in the model's type: embeddings, then after each layer.

    The last is after the final norm, as the output head reads it; those before are not normalised. ``input_ids`` (int64
    ``[rows, length]``) is padded on the right, where a causal model's earlier states don't see it.

    Raises:
        ModelError: the model doesn't give its hidden states, or not one a layer.
    """
    backbone: Any = model.base_model
    output = backbone(input_ids=input_ids.to(model.device), use_cache=False, output_hidden_states=True)
    states = getattr(output, "hidden_states", None) or ()
    if len(states) != state_count(model):
        raise ModelError(
            f"{type(model).__name__} gives {len(states)} hidden states for {state_count(model) - 1} layers; "
            "use a model of the transformers library that supports output_hidden_states"
        )
    return (*states[:-1], output.last_hidden_state)
