"""Sums over a domain's tokens of what units write: one streamed pass of forwards, and of backwards where asked for.

1. A unit's activation is what the matrix it writes through (down or o) is multiplied by: one number of a neuron, as
   many as a head has of a head. Of heads, attention probabilities are added up where they are asked for, in the same
   pass (:mod:`codingspot.units.attention`), whose attention is then computed eagerly.
2. The model runs to its final hidden states, without its output head, or to the loss where gradients are needed; then
   weights have none, so that a backward pass costs as much as a forward one.
3. Sums are taken row by row in float32 and added up in float64 on the device of each layer, so that they don't depend
   on how many sequences are run at once. Nothing is moved to the CPU before the end of the domain, or of a draw of it.
4. Attention probabilities are heads times length squared a sequence and layer. They are let go layer by layer, or
   with the rest of the graph where a backward pass follows, and fewer sequences are run at once where they would be
   too many (:data:`codingspot.units.attention.MAX_PROBABILITIES`).
5. Of text in several draws, no sequences of two draws are run at once, so that each has sums of its own; the domain's
   are those of its draws, added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float64
from torch import Tensor

from codingspot.corpus import PackedTokens
from codingspot.errors import ModelError, NonFiniteError
from codingspot.importance.accumulation import gradients_enabled
from codingspot.models import OutputHead, Units
from codingspot.models.attention import observed_attention
from codingspot.models.inputs import observed_inputs
from codingspot.units.attention import (
    Flow,
    from_elsewhere,
    gradient_weighted,
    require_attention_everywhere,
    sequences_at_once,
)

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

_FORWARD_TOKENS, _BACKWARD_TOKENS = 4096, 1024
"""Tokens run at once, unless said otherwise: a backward pass keeps every layer's activations."""


@dataclass(frozen=True)
class Statistic:
    """A sum over tokens.

    Attributes:
        fold: from activations ``[..., tokens, inputs]``, their gradients where there are any, and the number of units
            to what their tokens add, ``[..., inputs]`` or ``[..., units]``.
        backward: it needs the loss's gradient.
        attention: it is folded from attention probabilities instead, ``[rows, heads, queries, keys]``, to ``[rows,
            heads]``.
        flows: it is folded to ``[rows, heads, queries]``, which counts as far as it reaches the predictions through the
            attention of all layers above (:class:`codingspot.units.attention.Flow`).
    """

    fold: Callable[[Tensor, Tensor | None, int], Tensor]
    backward: bool = False
    attention: bool = False
    flows: bool = False


def _norm(order: int) -> Callable[[Tensor, Tensor | None, int], Tensor]:
    def fold(activations: Tensor, _gradients: Tensor | None, _units: int) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(activations, order, dim=-2, dtype=torch.float32)
        return norm**order

    return fold


def _effects(activations: Tensor, gradients: Tensor | None, units: int) -> Tensor:
    """Of every token and unit, activation times gradient: minus the change of loss without it, to first order."""
    products = _products(activations, gradients)
    return products.view(*products.shape[:-1], units, -1).sum(-1)


def _products(activations: Tensor, gradients: Tensor | None) -> Tensor:
    assert gradients is not None
    return activations.float() * gradients.float()


STATISTICS: Mapping[str, Statistic] = {
    "absolute": Statistic(_norm(1)),
    "square": Statistic(_norm(2)),
    "sum": Statistic(lambda activations, _g, _u: activations.sum(-2, dtype=torch.float32)),
    "positive": Statistic(lambda activations, _g, _u: (activations > 0).sum(-2)),
    "effect": Statistic(lambda a, g, _u: _products(a, g).sum(-2), backward=True),
    "absolute_effect": Statistic(lambda a, g, units: _effects(a, g, units).abs().sum(-2), backward=True),
    "helpful_attention": Statistic(gradient_weighted, backward=True, attention=True),
    "rolled_out_attention": Statistic(from_elsewhere, attention=True, flows=True),
}


@dataclass(frozen=True)
class Moments:
    """Sums over the tokens of one domain.

    Attributes:
        tokens: read. A token that isn't routed to an expert adds nothing to it.
        predicted_tokens: whose loss was taken, where gradients were.
        sums: by statistic and name of the matrix written through, float64 ``[experts, inputs]`` (of
            absolute effects ``[experts, units]``, of attention ``[1, heads]``).
        draws: the same of each draw of the text by itself, where it was read in several.
    """

    tokens: int
    predicted_tokens: int
    sums: Mapping[str, Mapping[str, Float64[Tensor, "experts inputs"]]]
    draws: tuple[Moments, ...] = ()

    def of_draws(self, numbers: Sequence[int]) -> Moments:
        """The sums over some draws of the text together."""
        return _together([self.draws[number] for number in numbers])


def _together(parts: Sequence[Moments]) -> Moments:
    first = parts[0]
    sums = {
        statistic: {name: torch.stack([part.sums[statistic][name] for part in parts]).sum(0) for name in values}
        for statistic, values in first.sums.items()
    }
    return Moments(sum(part.tokens for part in parts), sum(part.predicted_tokens for part in parts), sums)


def measure(
    model: PreTrainedModel,
    units: Units,
    tokens: PackedTokens,
    statistics: Sequence[str],
    *,
    draws: int = 1,
    batch_tokens: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Moments:
    """Run a domain's sequences through the model and add up some :data:`STATISTICS` of what its units write.

    The sequences are cut into as many ``draws``, equal shares of them, whose sums are kept too. ``batch_tokens`` are
    run at once, and one sequence at least. ``progress`` hears the size of every batch.

    Raises:
        NonFiniteError: an activation or gradient is not a number; the message names the domain.
        ModelError: attention is asked for, and a layer has no probabilities of it.
    """
    asked = [STATISTICS[name] for name in statistics]
    backward = any(statistic.backward for statistic in asked)
    if any(statistic.flows for statistic in asked):
        require_attention_everywhere(model, units)
    length = tokens.input_ids.shape[1]
    rows = max(1, (batch_tokens or (_BACKWARD_TOKENS if backward else _FORWARD_TOKENS)) // length)
    if batch_tokens is None and any(statistic.attention for statistic in asked):
        rows = min(rows, sequences_at_once(model, length, backward=backward))
    sums = _Sums(units, statistics)
    head = OutputHead(model) if backward else None
    found = []
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad() if head is None else _activation_gradients(model))
        for part in tokens.parts(tokens.starts(draws)):
            for batch in torch.split(part.input_ids, rows):
                _run(model, head, sums, batch)
                progress(batch.numel())
            found.append(Moments(part.tokens, part.predicted_tokens, sums.take(tokens.domain)))
    return found[0] if len(found) == 1 else replace(_together(found), draws=tuple(found))


def _run(model: PreTrainedModel, head: OutputHead | None, sums: _Sums, batch: Tensor) -> None:
    """Run a batch, backward where there is a ``head``; its graph, which holds what was seen, is let go at the end.

    What the head runs by itself, for logits that are soft-capped, isn't seen.
    """
    if head is None:
        with sums.observing(model):
            model.base_model(input_ids=batch.to(model.device), use_cache=False)
        return
    with sums.observing(model):
        states = head.states(batch)
    head.states_loss(states, batch).backward()  # type: ignore[no-untyped-call]


@contextmanager
def _activation_gradients(model: PreTrainedModel) -> Iterator[None]:
    """Gradients of activations alone: they begin at the token embeddings, and no weight has one."""
    embedding = model.get_input_embeddings()

    def begin(_embedding: object, _arguments: object, output: Tensor) -> Tensor:
        return output.detach().requires_grad_()

    with gradients_enabled(model), ExitStack() as stack:
        stack.callback(embedding.register_forward_hook(begin).remove)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        yield


class _Sums:
    """Accumulators of every statistic and matrix, on the device where it is seen."""

    def __init__(self, units: Units, statistics: Sequence[str]) -> None:
        self._statistics = {name: STATISTICS[name] for name in statistics}
        self._sites = {name: (units.layout.shape(name), site.width) for site in units.sites for name in site.writes}
        self._sums: dict[tuple[str, str], Tensor] = {}
        self._flow = Flow()

    @contextmanager
    def observing(self, model: PreTrainedModel) -> Iterator[None]:
        """Add up what the layers read and their attention probabilities in the one pass over a batch in the block."""

        def inputs(name: str, expert: int, activations: Tensor) -> None:
            self._observe(of_inputs, name, expert, activations)

        def attention(name: str, probabilities: Tensor) -> None:
            self._flow.hand_on(probabilities.detach())
            self._observe(of_attention, name, 0, probabilities)

        of_inputs, of_attention = (
            {name: one for name, one in self._statistics.items() if one.attention == read} for read in (False, True)
        )
        with ExitStack() as stack:
            if of_inputs:
                stack.enter_context(observed_inputs(model, self._sites, inputs))
            if of_attention:
                stack.enter_context(observed_attention(model, self._sites, attention))
            yield
        for statistic, name, rows in self._flow.take():
            self._add(statistic, name, 0, rows)

    def _observe(self, statistics: Mapping[str, Statistic], name: str, expert: int, seen: Tensor) -> None:
        """Fold what one call of a matrix reads, now, or once its gradient is there."""
        read, width = seen.detach(), self._sites[name][1]

        @torch.no_grad()
        def fold(gradients: Tensor | None) -> None:
            for key, statistic in statistics.items():
                if statistic.backward == (gradients is not None):
                    rows = statistic.fold(read, gradients, width)
                    if statistic.flows:
                        self._flow.bring(key, name, rows)
                    else:
                        self._add(key, name, expert, rows)

        fold(None)
        if any(statistic.backward for statistic in statistics.values()):
            seen.register_hook(fold)  # type: ignore[no-untyped-call]

    def _add(self, statistic: str, name: str, expert: int, rows: Tensor) -> None:
        shape, _ = self._sites[name]
        wide = torch.float32 if rows.device.type == "mps" else torch.float64
        added = rows.to(wide).reshape(-1, rows.shape[-1]).sum(0)
        if (statistic, name) not in self._sums:
            self._sums[statistic, name] = added.new_zeros(shape[0] if len(shape) == 3 else 1, len(added))
        self._sums[statistic, name][expert] += added

    def take(self, domain: str) -> dict[str, dict[str, Tensor]]:
        """The sums on the CPU; the next begin at 0."""
        found: dict[str, dict[str, Tensor]] = {statistic: {} for statistic in self._statistics}
        taken, self._sums = self._sums, {}
        for (statistic, name), value in taken.items():
            if not bool(value.isfinite().all()):
                raise NonFiniteError(
                    f"what {name} reads on {domain!r} is not finite, or its gradient isn't; load the model in float32"
                )
            found[statistic][name] = value.double().cpu()
        for statistic, about in self._statistics.items():
            if about.attention and (without := self._sites.keys() - found[statistic].keys()):
                raise ModelError(
                    f"the loss has no gradient by the attention probabilities before {min(without)}; choose another "
                    "unit score"
                )
        return found
