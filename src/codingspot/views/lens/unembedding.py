"""From a hidden state of any layer to logits: the model's own final norm and output head.

The final norm is found by watching a forward pass: it is the module outside the layers whose output is the last hidden
state. What the model does to its logits after the head (soft-capping, scaling) is done here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from codingspot.errors import ArtefactError, ModelError
from codingspot.files import reason
from codingspot.models import role_of

_PROBE = 3


class Unembedding:
    """Logits of hidden states ``[positions, width]`` of a layer before the final norm.

    Raises:
        ModelError: the model has no output head, or its final norm isn't found.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        if not isinstance(head, nn.Module):
            raise ModelError(f"{type(model).__name__} has no output head; the logit lens needs a causal language model")
        self.head = head
        self._probe = torch.arange(_PROBE, device=model.device)[None, :]
        self.norm = self._find_norm()
        with torch.no_grad():
            states = model.base_model(input_ids=self._probe, use_cache=False).last_hidden_state
            logits = model(input_ids=self._probe, use_cache=False).logits
            self._plain = torch.equal(self.head(states), logits)

    @torch.no_grad()
    def __call__(self, states: Tensor, *, normalised: bool = False) -> Tensor:
        """Logits ``[positions, vocabulary]`` in float32; ``normalised`` states have passed the final norm already."""
        normal: Tensor = states if normalised or self.norm is None else self.norm(states)
        return (self.head(normal) if self._plain else self._through_model(normal)).float()

    def _through_model(self, states: Tensor) -> Tensor:
        """What the model makes of ``states`` at its head and after: its forward pass, the head's input exchanged."""

        def exchange(_head: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (states[None], *arguments[1:])

        handle = self.head.register_forward_pre_hook(exchange)
        try:
            logits: Tensor = self.model(input_ids=self._probe[:, :1], use_cache=False).logits
        finally:
            handle.remove()
        return logits[0]

    @torch.no_grad()
    def _find_norm(self) -> nn.Module | None:
        outputs: list[tuple[nn.Module, Tensor]] = []

        def watch(module: nn.Module, _arguments: object, output: object) -> None:
            if isinstance(output, Tensor):
                outputs.append((module, output))

        with ExitStack() as stack:
            for name, module in self.model.base_model.named_modules():
                if name and role_of(f"{name}.weight").layer is None:
                    stack.callback(module.register_forward_hook(watch).remove)
            output: Any = self.model.base_model(input_ids=self._probe, use_cache=False, output_hidden_states=True)
        last = output.last_hidden_state
        for module, found in reversed(outputs):
            if found.shape == last.shape and torch.equal(found, last) and not isinstance(module, nn.Dropout):
                return module
        if torch.equal(output.hidden_states[-1], last):
            return None
        raise ModelError(f"the final norm of {type(self.model).__name__} isn't found; the logit lens needs it")


class TunedLens:
    """Affine maps of hidden states, one a layer, learned elsewhere: h + W h + b (Belrose et al., arXiv 2303.08112).

    The file is safetensors with ``LAYER.weight`` ``[width, width]`` and ``LAYER.bias`` ``[width]``, layer 0 being the
    token embeddings; a layer without them is left as it is.

    Raises:
        ArtefactError: the file is missing or corrupt, or a tensor has another shape.
    """

    def __init__(self, path: Path, *, width: int, device: torch.device) -> None:
        try:
            tensors: Mapping[str, Tensor] = load_file(path, device=str(device))
        except (OSError, SafetensorError) as error:
            said = reason(error)
            raise ArtefactError(f"{path} is not a safetensors file ({said}); save the tuned lens as one") from None
        self._maps: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in sorted({int(name.partition(".")[0]) for name in tensors if name.partition(".")[0].isdecimal()}):
            weight, bias = tensors.get(f"{layer}.weight"), tensors.get(f"{layer}.bias")
            if weight is None or bias is None or weight.shape != (width, width) or bias.shape != (width,):
                raise ArtefactError(f"{path} has no weight [{width}, {width}] and bias [{width}] of layer {layer}")
            self._maps[layer] = weight, bias
        if not self._maps:
            raise ArtefactError(f"{path} holds no layer of a tuned lens; its tensors are named 0.weight, 0.bias, ...")

    def __call__(self, layer: int, states: Tensor) -> Tensor:
        """States ``[positions, width]`` of a layer, mapped towards the last one."""
        if layer not in self._maps:
            return states
        weight, bias = (each.to(states.dtype) for each in self._maps[layer])
        return states + states @ weight.T + bias
