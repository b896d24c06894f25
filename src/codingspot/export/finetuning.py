"""Fine-tuning a spot alone, or all but it: what is frozen gets no gradient.

A hook on each parameter sets the gradients of its frozen entries to zero as soon as they are there, before they are
clipped or an optimizer sees them; a parameter that is frozen whole needs none. Adam leaves an entry that never had a
gradient as it is, to the bit; decay of weights would move it, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from codingspot.errors import ModelError, StudyError
from codingspot.models import ParameterLayout, unique_parameters
from codingspot.spot import Spot

Trained = Literal["spot", "rest"]
"""What is trained: the spot's entries alone, or all but them."""


@contextmanager
def masked_gradients(model: nn.Module, spot: Spot, train: Trained = "spot") -> Iterator[int]:
    """Inside the block only the spot's entries, or all but them, get gradients; yields how many do.

    Memory: a byte for each entry of the tensors that the spot touches.

    Raises:
        ModelError: the spot is of a model with other parameters.
    """
    parameters = unique_parameters(model)
    if ParameterLayout.of(model) != spot.layout:
        raise ModelError("the spot is of a model with other parameters; load the model it was found in")
    offsets = spot.grouped()
    with ExitStack() as stack:
        trained = 0
        for name, parameter in parameters.items():
            before = parameter.requires_grad
            if name not in offsets:
                parameter.requires_grad_(before and train == "rest")
                trained += parameter.numel() if parameter.requires_grad else 0
            elif before:
                frozen = torch.full((parameter.numel(),), train == "spot", device=parameter.device)
                frozen[offsets[name].to(parameter.device)] = train == "rest"
                hook = _freezing(frozen.view_as(parameter))
                handle = parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
                stack.callback(handle.remove)
                trained += parameter.numel() - int(frozen.sum())
            stack.callback(parameter.requires_grad_, before)
        yield trained


def _freezing(frozen: Bool[Tensor, " ..."]) -> Callable[[Tensor], None]:
    def freeze(parameter: Tensor) -> None:
        if parameter.grad is not None:
            parameter.grad.masked_fill_(frozen, 0)

    return freeze


class SpotTraining(TrainerCallback):
    """Lets transformers' Trainer change a spot's entries alone, or all but them.

    ``Trainer(..., callbacks=[SpotTraining(spot)])``. Weights are on one device each: no shards of them (FSDP, ZeRO-3).
    """

    def __init__(self, spot: Spot, train: Trained = "spot") -> None:
        self.spot = spot
        self.train: Trained = train
        self._open = ExitStack()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Freeze what isn't trained.

        Raises:
            StudyError: weights decay, which would move what is frozen.
            ModelError: the spot is of a model with other parameters.
        """
        del state, control
        if args.weight_decay:
            raise StudyError(f"weight_decay is {args.weight_decay}, which moves weights without gradient; set it to 0")
        self._open.enter_context(masked_gradients(given["model"], self.spot, self.train))

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Let every weight have its gradient again."""
        del args, state, control, given
        self._open.close()
