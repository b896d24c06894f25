"""What one forward and backward pass of a model takes, found by running it on tensors without data.

1. The model is built, and the loss and its gradients are computed, on fake tensors: they have a shape, a type and a
   device, and no storage. The code that runs is the model's own, so it is right for every architecture.
2. Every storage that an operation makes counts from then until nothing refers to it; the peak of their sum is what
   the pass takes beside the weights. Gradients are dropped as soon as they are complete, as scoring does.
3. Floating-point operations are those of matrix products and attention, counted while the pass runs.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import PreTrainedModel

from codingspot.errors import ModelError
from codingspot.importance.accumulation import gradients_enabled
from codingspot.models import OutputHead, configured_model, unique_parameters
from codingspot.models.attention import eager_attention


@dataclass(frozen=True)
class Footprint:
    """Sizes of a model and of one forward and backward pass over ``tokens`` tokens; bytes.

    ``pass_bytes`` is the peak of activations and gradients together, weights not counted; ``flops`` those of the pass.
    """

    parameters: int
    weight_bytes: int
    largest_tensor: int
    tokens: int
    pass_bytes: int
    flops: int

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of a forward and backward pass, a token."""
        return self.flops / self.tokens


class DatalessModel:
    """A model without data, on which things are run to see what they take.

    Raises:
        ModelError: it isn't found, or can't be built.
    """

    def __init__(
        self,
        id_or_path: str | Path,
        *,
        dtype: str = "float32",
        revision: str | None = None,
        attention: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        settings: dict[str, Any] = {
            "revision": revision,
            "attention": attention,
            "trust_remote_code": trust_remote_code,
            "device": "cpu",
        }
        self._source, self._mode = id_or_path, FakeTensorMode()
        self._heads: dict[int | None, OutputHead] = {}
        with self._mode:
            self.model = configured_model(id_or_path, dtype=dtype, **settings)
            self._measured, self._halves = self.model, False
            if dtype == "float32" and _has_fused_experts(self.model):
                # Grouped matrix products exist without data in bfloat16 only; its tensors are then counted twice.
                self._measured, self._halves = configured_model(id_or_path, dtype="bfloat16", **settings), True

    def head(self, max_logits: int | None) -> OutputHead:
        """The output head of the model, for what :meth:`takes` runs. It is made once, as making it runs the model."""
        if max_logits not in self._heads:
            self._heads[max_logits] = OutputHead(self._measured, max_logits=max_logits)
        return self._heads[max_logits]

    def takes(
        self, begin: Callable[[PreTrainedModel], Callable[[], object]], flops: FlopCounterMode | None = None
    ) -> int:
        """Peak bytes beside the weights of what ``begin`` makes ready to be called; ``flops`` counts its operations.

        Raises:
            ModelError: it depends on values, and so can't be run without them.
        """
        meter = _StorageMeter(double_bfloat16=self._halves)
        try:
            with self._mode, _silent(), _gradients_dropped(self._measured):
                meter.ignore(self._measured)
                ready = begin(self._measured)
                with flops or nullcontext(), meter:
                    ready()
        except Exception as error:  # whatever a model's own code may raise
            reason = " ".join(str(error).split())[:160]
            raise ModelError(
                f"what {self._source} takes can't be told from its configuration: {type(self.model).__name__} doesn't "
                f"run without data ({reason}); measure it on a short text instead"
            ) from None
        return meter.peak

    def footprint(self, sequences: int, sequence_length: int, max_logits: int | None = None) -> Footprint:
        """The footprint of a pass over ``sequences`` sequences at once; ``max_logits`` as :data:`MAX_LOGITS`.

        Raises:
            ModelError: as :meth:`takes`.
        """

        def begin(_model: PreTrainedModel) -> Callable[[], object]:
            head = self.head(max_logits)
            ids = torch.zeros((sequences, sequence_length), dtype=torch.int64)
            return lambda: head.text_loss(ids).backward()  # type: ignore[no-untyped-call]

        flops = FlopCounterMode(display=False, custom_mapping=_FURTHER_FLOPS)
        flops.mod_tracker = _NoModules()  # type: ignore[assignment]
        peak = self.takes(begin, flops)
        parameters = unique_parameters(self.model).values()
        return Footprint(
            parameters=sum(parameter.numel() for parameter in parameters),
            weight_bytes=sum(parameter.numel() * parameter.element_size() for parameter in parameters),
            largest_tensor=max(parameter.numel() for parameter in parameters),
            tokens=sequences * sequence_length,
            pass_bytes=peak,
            flops=int(flops.get_total_flops()),
        )

    def eager_pass_bytes(
        self, sequences: int, sequence_length: int, max_logits: int | None = None, *, backward: bool
    ) -> int:
        """Peak bytes of a pass to the final hidden states whose attention is computed eagerly, or backward, too.

        Raises:
            ModelError: as :meth:`takes`.
        """

        def begin(model: PreTrainedModel) -> Callable[[], object]:
            head = self.head(max_logits)
            ids = torch.zeros((sequences, sequence_length), dtype=torch.int64)

            def run() -> None:
                with eager_attention(model), torch.set_grad_enabled(backward):
                    states = head.states(ids)
                if backward:
                    head.states_loss(states, ids).backward()  # type: ignore[no-untyped-call]

            return run

        return self.takes(begin)


def measure_footprint(
    id_or_path: str | Path, *, sequences: int, sequence_length: int, max_logits: int | None = None, **settings: Any
) -> Footprint:
    """The footprint of a pass over ``sequences`` sequences at once. Neither weights nor memory for them are needed.

    ``settings`` are those of :class:`DatalessModel`.

    Raises:
        ModelError: the model isn't found, or its forward pass depends on values and so can't be run without them.
    """
    return DatalessModel(id_or_path, **settings).footprint(sequences, sequence_length, max_logits)


class _NoModules(AbstractContextManager[None]):
    """In place of the counter's own record of modules, whose hooks break gradients that are taken within a pass."""

    parents = frozenset({"Global"})

    def __exit__(self, *_: object) -> None:
        return None


class _StorageMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operations make, until they are let go."""

    def __init__(self, *, double_bfloat16: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._double = double_bfloat16
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def ignore(self, model: PreTrainedModel) -> None:
        """Don't count what the model holds, though operations return views of it."""
        for tensor in (*model.parameters(), *model.buffers()):
            self._known[tensor.untyped_storage()] = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = storage.nbytes() * (2 if self._double and tensor.dtype == torch.bfloat16 else 1)
        self._known[storage] = size
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self._now -= size


def _grouped_product_flops(first: Any, second: Any, *_: Any, **__: Any) -> int:
    """Two operations for each multiplication of a product of one matrix with each of a group's rows, or of columns."""
    groups = first[0] if len(first) == 3 else 1
    return int(2 * prod(first) // groups * second[-1])


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward_flops(output_gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(output_gradient, query, key, value))  # type: ignore[no-untyped-call]


# Operations that PyTorch's counter doesn't know, by their tensors' shapes.
_FURTHER_FLOPS = {
    torch.ops.aten._grouped_mm: _grouped_product_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


def _has_fused_experts(model: PreTrainedModel) -> bool:
    return any(hasattr(module, "is_concatenated") for module in model.modules())


@contextmanager
def _gradients_dropped(model: PreTrainedModel) -> Iterator[None]:
    def drop(parameter: Tensor) -> None:
        parameter.grad = None

    with gradients_enabled(model):
        handles = [
            parameter.register_post_accumulate_grad_hook(drop)  # type: ignore[no-untyped-call]
            for parameter in unique_parameters(model).values()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def _silent() -> Iterator[None]:
    """What fails without data is reported as one error, not by PyTorch's log as well."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
