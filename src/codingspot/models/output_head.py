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

from codingspot.models.parts import parts

MAX_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 28}
"""Most elements that the logits of a chunk, their probabilities and the gradients of both have together, by device.

Where a chunk costs a pass over the head's gradient, a GPU would spend more time on that than on the chunk.
"""

_ARRAYS = 4  # logits and log-probabilities, and the gradient of each
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
        yield from _spans(len(states), self._max_logits // (_ARRAYS * vocabulary))

    def text_loss(self, input_ids: Int64[Tensor, "rows length"], *, twice: bool = False) -> Float[Tensor, ""]:
        """Negative log-likelihood in nats, summed over all tokens but the first of each row; float32, differentiable.

        Gradients of states and head are computed chunk by chunk together with the loss, so that nothing is computed
        again. With ``twice`` the loss has a second derivative too; its chunks are computed again in each backward pass.
        """
        return self.states_loss(self.states(input_ids), input_ids, twice=twice)

    def states_loss(
        self,
        states: Float[Tensor, "rows length width"],
        input_ids: Int64[Tensor, "rows length"],
        *,
        twice: bool = False,
    ) -> Float[Tensor, ""]:
        """The same from the ``states`` of that text."""
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

    def _gradients(
        self, targets: Tensor, states: Tensor, of_states: Tensor, wanted: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The summed loss, and its gradients: the states' into ``of_states``, and those of the head's ``wanted``."""
        if self._simple and isinstance(self._head, nn.Linear) and self._head.bias is None:
            return self._linear_gradients(self._head.weight, targets, states, of_states, wanted=bool(wanted))
        of_weights = _Sums(wanted)
        losses = []
        for chunk in self.chunks(states):
            with torch.enable_grad():
                part = states[chunk].detach().requires_grad_()
                loss = self._loss(part, targets[chunk])
            of_states[chunk], *found = torch.autograd.grad(loss, [part, *wanted])
            losses.append(loss.detach())
            of_weights.add(found)
        return torch.stack(losses).sum(), of_weights.totals()

    def _linear_gradients(
        self, weight: Tensor, targets: Tensor, states: Tensor, of_states: Tensor, *, wanted: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """The same of a plain linear head, whose gradient is one product of many chunks' logits with their states.

        The gradients of logits are kept for it in the model's type, up to as many bytes as ``max_logits`` in float32.
        """
        of_weights = _Sums([weight] if wanted else [])
        losses = []
        for span in _spans(len(states), self._max_logits * 4 // (weight.element_size() * len(weight))):
            of_logits = weight.new_empty(len(states[span]), len(weight))
            for chunk in self.chunks(states[span]):
                # Logits first, and then their gradient in their place.
                logits = torch.mm(states[span][chunk], weight.T, out=of_logits[chunk])
                loss, gradient = _loss_and_gradient(logits, targets[span][chunk])
                logits.copy_(gradient)
                losses.append(loss)
            torch.mm(of_logits, weight, out=of_states[span])
            if wanted:
                of_weights.add([of_logits.T @ states[span]])
        return torch.stack(losses).sum(), of_weights.totals()

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


def _spans(length: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    for start in range(0, length, step):
        yield slice(start, min(length, start + step))


def _loss_and_gradient(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy in float32, and its gradient by the logits: their softmax, less 1 at the target."""
    log_probabilities = F.log_softmax(logits, -1, dtype=torch.float32)
    loss = F.nll_loss(log_probabilities, targets, reduction="sum", ignore_index=_IGNORED)
    gradient = log_probabilities.exp_()
    ignored = (targets == _IGNORED)[:, None]
    gradient.scatter_add_(1, targets[:, None].masked_fill(ignored, 0), gradient.new_full((len(targets), 1), -1.0))
    return loss, gradient.masked_fill_(ignored, 0.0)


class _Sums:
    """Sums of tensors, in float32 from the second on: what is given once is neither rounded nor copied."""

    def __init__(self, weights: list[Tensor]) -> None:
        self._types = [weight.dtype for weight in weights]
        self._sums: list[Tensor] = []

    def add(self, new: list[Tensor]) -> None:
        if not self._sums:
            self._sums = new
            return
        self._sums = [total.float().contiguous() for total in self._sums]  # what isn't has no parts to write to
        for total, more in zip(self._sums, new, strict=True):
            _add(total, more)

    def totals(self) -> list[Tensor]:
        """The sums, in the types of the weights."""
        sums, self._sums = self._sums, []
        return [total.to(dtype) for total, dtype in zip(sums, self._types, strict=True)]


def _add(total: Tensor, new: Tensor) -> None:
    """Add ``new`` to the float32 ``total``, part by part: a whole ``new`` in float32 is as large again."""
    for part, of_new in parts(total, new):
        part.add_(of_new)


class _SummedLoss(torch.autograd.Function):
    """The loss of all chunks. Its gradient is there as soon as it is: backward only hands it on."""

    @staticmethod
    def forward(ctx: Any, head: OutputHead, targets: Tensor, states: Tensor, *weights: Tensor) -> Tensor:
        wanted = [weight for weight in weights if weight.requires_grad]
        ctx.of_states = torch.empty_like(states)
        loss, ctx.of_weights = head._gradients(targets, states, ctx.of_states, wanted)
        ctx.wanted = [weight.requires_grad for weight in weights]
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # In place: there is one backward pass, and a copy of the head's gradient would be as large as the head.
        of_weights, ctx.of_weights = ctx.of_weights, None  # freed as soon as they are folded
        scaled = (each.mul_(gradient) for each in of_weights)
        return None, None, ctx.of_states.mul_(gradient), *(next(scaled) if wanted else None for wanted in ctx.wanted)
