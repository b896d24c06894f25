"""The last step of a causal language model, from final hidden states to logits, without ever holding all logits.

The logits of a batch are the largest tensor of a small model with a large vocabulary: 2,048 tokens of a vocabulary of
152,000 are 1.2 GB in float32, several times over in a backward pass. So the model's body is run to the hidden states
that its output head reads, and the head, whatever the model does to its logits afterwards, and the loss are computed in
chunks of positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils.checkpoint import checkpoint

MAX_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 28}
"""Most elements that the logits of a chunk, their probabilities and the gradients of both have together, by device.

A chunk costs a pass over the head's gradient, which a GPU would spend more time on than on the chunk.
"""

_ARRAYS = 4  # logits and log-probabilities, and the gradient of each
_PART = 1 << 24
_IGNORED = -100


class OutputHead:
    """A model's output head and what follows it, such as soft-capping or scaling of logits.

    The model's own forward pass runs, with its head's input read or exchanged by a hook, so that there is nothing to
    know about the architecture. Of a model whose head is not a module that is called with hidden states, the logits
    themselves are taken for states.

    Args:
        model: a Hugging Face causal language model, with the weights that it has whenever it is called.
        max_logits: see :data:`MAX_LOGITS`, by default that of the model's device.
    """

    def __init__(self, model: nn.Module, *, max_logits: int | None = None) -> None:
        self.model = model
        on_cpu = next(model.parameters()).device.type == "cpu"
        self._max_logits = max_logits or MAX_LOGITS["cpu" if on_cpu else "cuda"]
        found = getattr(model, "get_output_embeddings", lambda: None)()
        self._head = found if isinstance(found, nn.Module) else None
        with torch.no_grad():
            states = self.states(torch.zeros(1, 1, dtype=torch.int64))
            self._simple = self._head is not None and self._is_simple(states[0])

    @property
    def weights(self) -> list[nn.Parameter]:
        """The head's parameters."""
        return [] if self._head is None else list(self._head.parameters())

    def states(self, input_ids: Int64[Tensor, "rows length"], **inputs: Tensor) -> Float[Tensor, "rows length width"]:
        """What the head reads when the model is given ``input_ids`` and other ``inputs``."""
        device = next(self.model.parameters()).device
        read: list[Tensor] = []

        def take(_head: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            read.append(arguments[0])
            return (arguments[0][:0], *arguments[1:])

        handle = None if self._head is None else self._head.register_forward_pre_hook(take)
        try:
            moved = {name: value.to(device) for name, value in inputs.items()}
            logits: Tensor = self.model(input_ids=input_ids.to(device), **moved, use_cache=False).logits
        finally:
            if handle is not None:
                handle.remove()
        if not read:
            self._head = None
            return logits
        return read[0]

    def logits(self, states: Float[Tensor, "positions width"]) -> Float[Tensor, "positions vocabulary"]:
        """Logits of some states, in the model's type; see :meth:`chunks` for how many at a time."""
        if self._head is None:
            return states
        logits: Tensor = self._head(states) if self._simple else self._through_model(states)
        return logits

    def chunks(self, states: Float[Tensor, "positions width"]) -> Iterator[slice]:
        """Slices of positions whose logits may be held at once."""
        vocabulary = self._vocabulary(states)
        step = max(1, self._max_logits // (_ARRAYS * vocabulary))
        for start in range(0, len(states), step):
            yield slice(start, min(len(states), start + step))

    def text_loss(self, input_ids: Int64[Tensor, "rows length"], *, twice: bool = False) -> Float[Tensor, ""]:
        """Negative log-likelihood in nats, summed over all tokens but the first of each row; float32, differentiable.

        Gradients of states and head are computed chunk by chunk together with the loss, so that nothing is computed
        again. With ``twice`` the loss has a second derivative too; its chunks are computed again in each backward pass.
        """
        states = self.states(input_ids)
        # The last position predicts nothing. Ignoring it by its label spares a copy of the states.
        targets = F.pad(input_ids[:, 1:], (0, 1), value=_IGNORED)
        return self.summed_loss(states.flatten(0, 1), targets.flatten(), twice=twice)

    def summed_loss(
        self, states: Float[Tensor, "positions width"], targets: Int64[Tensor, " positions"], *, twice: bool = False
    ) -> Float[Tensor, ""]:
        """The same of some states and the token that each predicts; a target of -100 is passed over."""
        targets = targets.to(states.device)
        if twice:
            chunks = [(states[chunk], targets[chunk]) for chunk in self.chunks(states)]
            return torch.stack([checkpoint(self._loss, *chunk, use_reentrant=False) for chunk in chunks]).sum()
        if torch.is_grad_enabled():
            loss: Tensor = _SummedLoss.apply(self, targets, states, *self.weights)  # type: ignore[no-untyped-call]
            return loss
        parts = [self._loss(states[chunk], targets[chunk]) for chunk in self.chunks(states)]
        return torch.stack(parts).sum()

    def _loss(self, states: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(states).float(), targets, reduction="sum", ignore_index=_IGNORED)

    def _vocabulary(self, states: Tensor) -> int:
        if self._head is None:
            return int(states.shape[-1])
        known = getattr(self._head, "out_features", None)
        return int(known or next(self._head.parameters()).shape[0])

    def _is_simple(self, states: Tensor) -> bool:
        """Whether nothing follows the head: it alone gives the model's logits. Those that are all 0 tell nothing.

        Any states will do, and tensors without data, on which memory is estimated, can't be compared.
        """
        assert self._head is not None
        drawn = torch.randn(states.shape, generator=torch.Generator().manual_seed(0)).to(states)
        alone, whole = self._head(drawn), self._through_model(drawn)
        return isinstance(alone, FakeTensor) or (bool(alone.any()) and torch.equal(alone, whole))

    def _through_model(self, states: Tensor) -> Tensor:
        """What the model makes of ``states`` at its head and after, the rest of it run on one token."""
        assert self._head is not None

        def exchange(_head: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (states[None], *arguments[1:])

        handle = self._head.register_forward_pre_hook(exchange)
        try:
            token = torch.zeros(1, 1, dtype=torch.int64, device=next(self.model.parameters()).device)
            logits: Tensor = self.model(input_ids=token, use_cache=False).logits
        finally:
            handle.remove()
        return logits[0]


def _add(total: Tensor, new: Tensor) -> None:
    """Add ``new`` to the float32 ``total``, part by part: a whole ``new`` in float32 is as large again."""
    for part, of_new in zip(torch.split(total.view(-1), _PART), torch.split(new.reshape(-1), _PART), strict=True):
        part.add_(of_new)


class _SummedLoss(torch.autograd.Function):
    """The loss of all chunks. Its gradient is there as soon as it is: backward only hands it on."""

    @staticmethod
    def forward(ctx: Any, head: OutputHead, targets: Tensor, states: Tensor, *weights: Tensor) -> Tensor:
        wanted = [weight for weight in weights if weight.requires_grad]
        of_states = torch.empty_like(states)
        chunks = list(head.chunks(states))
        # Summed in float32, part by part. Of a single chunk they are kept as they are: nothing is rounded or copied.
        of_weights = [torch.zeros_like(weight, dtype=torch.float32) for weight in wanted if len(chunks) > 1]
        losses = []
        for chunk in chunks:
            with torch.enable_grad():
                part = states[chunk].detach().requires_grad_()
                loss = head._loss(part, targets[chunk])
            of_part, *found = torch.autograd.grad(loss, [part, *wanted])
            losses.append(loss.detach())
            of_states[chunk] = of_part
            if len(chunks) == 1:
                of_weights = found
            else:
                for whole, new in zip(of_weights, found, strict=True):
                    _add(whole, new)
            del found
        # Kept in the weights' own type: the largest tensor there is by now.
        ctx.of_weights = [whole.to(weight.dtype) for whole, weight in zip(of_weights, wanted, strict=True)]
        ctx.of_states = of_states
        ctx.wanted = [weight.requires_grad for weight in weights]
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # In place: there is one backward pass, and a copy of the head's gradient would be as large as the head.
        of_weights, ctx.of_weights = ctx.of_weights, None  # freed as soon as they are folded
        scaled = (each.mul_(gradient) for each in of_weights)
        return None, None, ctx.of_states.mul_(gradient), *(next(scaled) if wanted else None for wanted in ctx.wanted)
