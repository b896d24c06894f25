"""What some of a model's matrices are multiplied by, seen or exchanged during forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

InputObserver = Callable[[str, int, Tensor], Tensor | None]
"""Called with the name of a matrix, the expert (0 where there are none) and what it is multiplied by, ``[..., inputs]``
(of an expert: ``[its tokens, inputs]``). A tensor it returns takes the place of that."""

_PRODUCTS = (F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__)


@contextmanager
def observed_inputs(model: PreTrainedModel, names: Iterable[str], observer: InputObserver) -> Iterator[None]:
    """Inside the block, ``observer`` is called with the input of each of the named matrices whenever it is used.

    Fused experts are run one after another, as the model's own code does.
    """
    with ExitStack() as stack:
        fused: dict[int, tuple[str, Tensor]] = {}
        for name in names:
            parameter = model.get_parameter(name)
            if parameter.dim() == 3:
                fused[parameter.untyped_storage().data_ptr()] = (name, parameter)
                continue
            owner = model.get_submodule(name.rpartition(".")[0])
            stack.callback(owner.register_forward_pre_hook(_hook(name, observer)).remove)
        if fused:
            stack.enter_context(experts_in_turn(model))
            stack.enter_context(_Products(fused, observer))
        yield


@contextmanager
def experts_in_turn(model: PreTrainedModel) -> Iterator[None]:
    """Run experts one after another, as the model's own code does, not by a fused kernel that hides activations."""
    from transformers import PreTrainedModel

    configs = {id(each.config): each.config for each in model.modules() if isinstance(each, PreTrainedModel)}
    before = {key: config._experts_implementation for key, config in configs.items()}
    model.set_experts_implementation("eager")
    try:
        yield
    finally:
        for key, config in configs.items():
            config._experts_implementation = before[key]


def _hook(name: str, observer: InputObserver) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]:
    def see(_module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        changed = observer(name, 0, arguments[0])
        return None if changed is None else (changed, *arguments[1:])

    return see


class _Products(TorchFunctionMode):
    """Sees products with one expert's part of a fused matrix."""

    def __init__(self, fused: dict[int, tuple[str, Tensor]], observer: InputObserver) -> None:
        super().__init__()
        self._fused, self._observer = fused, observer

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _PRODUCTS and len(args) > 1 and isinstance(args[1], Tensor):
            found = self._fused.get(args[1].untyped_storage().data_ptr())
            if found is not None:
                name, parameter = found
                expert = (args[1].storage_offset() - parameter.storage_offset()) // parameter.stride(0)
                changed = self._observer(name, expert, args[0])
                args = args if changed is None else (changed, *args[1:])
        return func(*args, **(kwargs or {}))
