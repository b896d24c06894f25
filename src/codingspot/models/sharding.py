"""A model's parameters in shards over several processes, its *ranks*, which torchrun started (FSDP2).

There may be several groups of ranks, each with the whole model in shards of its own.

1. The first rank loads the model. The others build it without weights, and are sent their rows of every parameter: the
   machines need memory for the model once, and for the shards.
2. Each layer gathers its parameters while it computes, and what is outside the layers (embeddings, last norm, head,
   tied or not) stays gathered until the backward pass ends.
3. A gradient is summed over the ranks once it is complete, and each keeps that of its rows; hooks on parameters run
   then.

A parameter is a ``DTensor`` then, whose shape is that of the whole;
:func:`codingspot.models.ranks.own_part` is what this rank holds of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from codingspot.errors import ModelError
from codingspot.models.finding import build
from codingspot.models.layout import ParameterLayout, unique_parameters
from codingspot.models.loading import LoadedModel, load_tokenizer, usable_device
from codingspot.models.ranks import Ranks, own_part

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from codingspot.models.section import ModelSection


def load_in_shards(section: ModelSection, ranks: Ranks) -> LoadedModel:
    """The model of a section, its parameters in shards over ``ranks``: on their GPUs, or on the CPU where it says so.

    Every one of them must call it, inside :func:`codingspot.models.ranks.process_group`. One alone has the model whole.

    Raises:
        ModelError: it can't be loaded, a device map is asked for, or the ranks find different models.
    """
    device = device_of_rank(section)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ranks.count == 1:
        return section.model_copy(update={"device": str(device)}).load()
    loaded = section.model_copy(update={"device": "cpu"}).load() if ranks.own == 0 else _without_weights(section)
    layout = ParameterLayout.of(loaded.model)
    first, fingerprint = ranks.first((layout, loaded.fingerprint if ranks.own == 0 else ""))
    if first != layout:
        raise ModelError(
            f"rank {ranks.own} finds another model under {section.id} than the first; give all the same files"
        )
    loaded.__dict__["fingerprint"] = fingerprint  # that of the whole
    _shard(loaded.model, device, ranks)
    return loaded


def device_of_rank(section: ModelSection) -> torch.device:
    """The device of this rank's shards (:func:`own_device`), found without loading anything.

    Raises:
        ModelError: there is none, or a device map is asked for.
    """
    if section.device_map is not None:
        raise ModelError("device_map spreads a model over the GPUs of one process; leave it out under torchrun")
    return own_device(section.device)


def own_device(asked: str | None) -> torch.device:
    """The device of this rank: a GPU of its own, or the CPU where that is ``asked`` for or there is no GPU.

    Raises:
        ModelError: there is no such device, or a GPU less than ranks on this machine.
    """
    device = usable_device(asked)
    if device.type != "cuda":
        return device
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= torch.cuda.device_count():
        raise ModelError(f"there is no GPU for local rank {local}; start one process a GPU, or give --device cpu")
    return torch.device("cuda", local)


def _without_weights(section: ModelSection) -> LoadedModel:
    """A model whose memory is set aside and not touched."""
    found = section.find()
    model: Any = build(found, dtype=section.dtype, attention=section.attention)
    model.to_empty(device="cpu")
    model.tie_weights()
    return LoadedModel(model, load_tokenizer(found, section.bos), found.id, found.commit, found.gguf)


def _shard(model: Any, device: torch.device, ranks: Ranks) -> None:
    """Put a model in shards, its weights and constants those of the first rank."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    whole = {name: weight.detach() for name, weight in unique_parameters(model).items()} if ranks.own == 0 else {}
    assert ranks.group is not None  # they are several
    mesh = DeviceMesh.from_group(ranks.group, device.type)
    how: dict[str, Any] = {"mesh": mesh, "mp_policy": MixedPrecisionPolicy(reduce_dtype=torch.float32)}
    layers = set(model._no_split_modules or ())
    for module in [each for each in model.modules() if type(each).__name__ in layers]:
        fully_shard(module, **how)
    fully_shard(model, reshard_after_forward=False, **how)  # the head is read after the forward pass
    for module in model.modules():
        if isinstance(module, FSDPModule):  # gradients are those of sums, not of means
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    for name, weight in unique_parameters(model).items():
        _send(weight, whole.pop(name, None), mesh)
    for buffer in model.buffers():
        dist.broadcast(buffer, group=ranks.group, group_src=0)


@torch.no_grad()
def _send(weight: nn.Parameter, whole: Tensor | None, mesh: DeviceMesh) -> None:
    """Give every rank its rows of a parameter, ``whole`` on the first."""
    from torch.distributed.tensor import Shard, distribute_tensor

    source = torch.empty(weight.shape, dtype=weight.dtype, device=mesh.device_type) if whole is None else whole
    sent = distribute_tensor(source.to(mesh.device_type), mesh, [Shard(0)], src_data_rank=0)
    own_part(weight).copy_(own_part(sent))
