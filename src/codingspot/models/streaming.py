"""A model whose weights stay on disk, and are brought to a device a part at a time: a layer, or what is outside them.

transformers maps every parameter to where its safetensors files hold it (accelerate's disk offload); what it makes of
several tensors, such as fused experts, it saves beside them for as long as the model is used.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from codingspot.errors import ModelError
from codingspot.extras import optional_packages
from codingspot.models.finding import FoundModel, torch_dtype
from codingspot.models.layout import fingerprint_as, unique_parameters
from codingspot.models.loading import LoadedModel, load_tokenizer, load_weights, usable_device

if TYPE_CHECKING:
    from codingspot.models.section import ModelSection


@dataclass
class StreamedModel(LoadedModel):
    """A model without its weights, and how they are brought to ``place`` and let go of again."""

    place: torch.device = field(default_factory=usable_device)

    def __post_init__(self) -> None:
        self._weights = _take_from_hooks(self.model)
        self._shells = named = unique_parameters(self.model)
        self._homes: dict[int, list[tuple[nn.Module, str]]] = {}
        for module in self.model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    self._homes.setdefault(id(parameter), []).append((module, name))
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.to(self.place)
        self.layers = decoder_layers(self.model)
        of_layers = [set(map(id, layer.parameters())) for layer in self.layers]
        self.parts = [[name for name, each in named.items() if id(each) in ids] for ids in of_layers]
        """Names of each layer's parameters."""
        if sum(map(len, self.parts)) > len(set().union(*self.parts)):
            raise unfit(self.model, "its layers share weights")
        self.outside = sorted(named.keys() - set().union(*self.parts))
        """Names of the others: embeddings, last norm, head."""
        types = ((name, self.weight(name), each.dtype) for name, each in named.items())
        self.__dict__["fingerprint"] = fingerprint_as(types)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.place

    def weight(self, name: str) -> Tensor:
        """A parameter, read from disk."""
        source, key = self._weights[name]
        tensor: Tensor = source[key]
        return tensor.to(self._shells[name].dtype)

    @contextmanager
    def brought(self, names: Collection[str]) -> Iterator[dict[str, nn.Parameter]]:
        """Inside the block these parameters are on the device."""
        here = {name: nn.Parameter(self.weight(name).to(self.place), requires_grad=False) for name in names}
        self._put(here)
        try:
            yield here
        finally:
            self._put({name: self._shells[name] for name in names})

    def _put(self, parameters: dict[str, nn.Parameter]) -> None:
        for name, parameter in parameters.items():
            for module, leaf in self._homes[id(self._shells[name])]:
                module._parameters[leaf] = parameter


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """A model's layers, first to last.

    Raises:
        ModelError: they are not in one list.
    """
    config: Any = model.config
    count = int(config.get_text_config().num_hidden_layers)
    found = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
    if len(found) != 1:
        raise unfit(model, "its layers are not in one list")
    return found[0]


def unfit(model: nn.Module, why: str) -> ModelError:
    """The error that says of a model why its layers can't be brought one by one."""
    return ModelError(f"{type(model).__name__} can't be scored layer by layer: {why}; leave out --layer-by-layer")


def streamable(section: ModelSection) -> FoundModel:
    """The model of a section, of which nothing but its form of storage and what is needed to read it is known.

    Raises:
        ModelError: a device map is asked for, or the model isn't found or is a GGUF file.
        MissingPackageError: accelerate isn't installed.
    """
    with optional_packages():
        import accelerate as accelerate
    if section.device_map is not None:
        raise ModelError("--layer-by-layer brings one layer after the other to one device; leave out device_map")
    found = section.find()
    if found.gguf is not None:
        raise ModelError(f"{found.source} is a GGUF file, which is dequantised as a whole; give its safetensors files")
    return found


@contextmanager
def streamed(section: ModelSection) -> Iterator[StreamedModel]:
    """The model of a section, its weights on disk as long as the block lasts.

    Raises:
        ModelError: it isn't :func:`streamable`, or can't be loaded or its weights divided into layers.
        MissingPackageError: accelerate isn't installed.
    """
    place, found = usable_device(section.device), streamable(section)
    tokenizer = load_tokenizer(found, section.bos)
    logging.getLogger("accelerate.big_modeling").setLevel(logging.ERROR)  # it warns of what was asked for
    with TemporaryDirectory() as beside:
        model = load_weights(found, torch_dtype(section.dtype), {"": "disk"}, section.attention, offload=Path(beside))
        model.train(False)
        yield StreamedModel(model, tokenizer, found.id, found.commit, place=place)


def _take_from_hooks(model: Any) -> dict[str, tuple[Any, str]]:
    """For each parameter what reads it from disk, and by which name; the library's hooks that would are removed."""
    from accelerate.hooks import remove_hook_from_submodules

    found = {}
    for name in unique_parameters(model):
        owner, _, leaf = name.rpartition(".")
        found[name] = (model.get_submodule(owner)._hf_hook.weights_map, leaf)
    remove_hook_from_submodules(model)
    return found
