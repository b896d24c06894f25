"""Scoring layer by layer: weights stream from disk, so that a model needs no device that holds it.

1. Forward: the domain's text goes through the first layer, then through the second, and so on. What goes into each is
   kept in a file: its *activations*.
2. The gradient of the loss by what comes out of the last layer.
3. Backward, from the last layer to the first: each is computed again from its activations, micro-batch after
   micro-batch, and the estimator folds its gradients as it does a whole model's. Then its scores are complete, and
   written, and the gradient by its activations is the one that the layer before it needs.
4. What is outside the layers, in one pass: embeddings by the gradient of the first layer's activations, last norm and
   head by the loss. A tied matrix has both gradients, summed before they are folded.

While a layer runs nothing else is on the device: the model's own forward pass runs with layers that hand on what they
are given, which is how the first one's activations, the other arguments of each layer, and the loss are found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._pytree import tree_flatten

from codingspot.corpus import Domain, PackedTokens
from codingspot.errors import NonFiniteError
from codingspot.importance.accumulation import PartOfModel
from codingspot.importance.estimators import DomainInput, Estimate, details_of
from codingspot.importance.writing import NewDomainScores, StoreWriter
from codingspot.models import OutputHead, ParameterLayout
from codingspot.models.streaming import StreamedModel, unfit

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""What a layer is given beside hidden states."""

_STATES = "hidden_states"


class _StopError(Exception):
    """The model's pass has come as far as it was wanted."""


@dataclass
class LayerByLayer:
    """One domain's text going through a model's layers; the folder takes the activations.

    ``loss`` is the mean in nats a token, after :meth:`forward`.

    Raises:
        ModelError: the layers don't stand one after the other, each reading hidden states and nothing else of the text.
    """

    model: StreamedModel
    tokens: PackedTokens
    micro_batch_tokens: int
    folder: Path
    loss: float = field(default=math.nan, init=False)

    def __post_init__(self) -> None:
        self._batches = list(DomainInput(self.model.model, self.tokens, {}, self.micro_batch_tokens).micro_batches())
        self._last: Tensor | None = None
        with self.model.brought(self.model.outside) as outside:
            self._tail = self._what_follows_states()
            for parameter in outside.values():
                parameter.requires_grad_()  # so that it shows where they reach a layer otherwise than by its states
            sizes = {1, *map(len, self._batches)}
            self._calls = {rows: self._arguments(self.tokens.input_ids[:rows]) for rows in sizes}

    def forward(self) -> None:
        """Keep every layer's activations, and find the loss and its gradient by what the last layer gives.

        Raises:
            NonFiniteError: the loss is NaN or infinite.
        """
        with torch.no_grad():
            with self.model.brought(self.model.outside):
                states = torch.cat([self._embedded(batch)[0].cpu() for batch in self._batches])
            for number, names in enumerate(self.model.parts):
                self._save(number, states)
                with self.model.brought(names):
                    for rows, _ in self._rows():
                        states[rows] = self._run(number, self._there(states[rows])).cpu()
        self._save(len(self.model.parts), states)
        total, self._gradient = 0.0, torch.empty_like(states)
        with self.model.brought(self.model.outside), self._handing_on(self._hand_on):
            self._head = OutputHead(self.model.model)
            for rows, batch in self._rows():
                self._last = last = self._there(states[rows]).requires_grad_()
                loss = self._head.text_loss(batch)
                (of_last,) = torch.autograd.grad(loss, last)
                self._gradient[rows] = of_last.cpu()
                total += float(loss.detach())
        self.loss = total / self.tokens.predicted_tokens
        if not math.isfinite(self.loss):
            raise NonFiniteError(
                f"the loss of domain {self.tokens.domain!r} is {self.loss}; load the model in float32, or repair it"
            )

    def scores(
        self, estimator: Callable[[DomainInput], Estimate], on_tokens: Callable[[int], None] = lambda _: None
    ) -> Iterator[dict[str, Tensor]]:
        """Scores of the last layer's parameters, then of the one's before it, and so on, and of all others.

        ``on_tokens`` hears of the micro-batches of each.
        """
        self._on_tokens = on_tokens
        for number, names in reversed(list(enumerate(self.model.parts))):
            states = self._load(number)
            yield self._estimate(estimator, names, partial(self._by_layer, number, states))
        states = self._load(len(self.model.parts))
        with self._handing_on(self._hand_on):
            yield self._estimate(estimator, self.model.outside, partial(self._by_others, states))

    def _estimate(
        self,
        estimator: Callable[[DomainInput], Estimate],
        names: list[str],
        loss: Callable[[Int64[Tensor, "rows length"], slice], Tensor],
    ) -> dict[str, Tensor]:
        done = 0

        def of_next(batch: Int64[Tensor, "rows length"]) -> Tensor:
            nonlocal done
            rows, done = slice(done, done + len(batch)), done + len(batch)
            return loss(batch, rows)

        with self.model.brought(names) as parameters:
            part = PartOfModel(parameters, of_next)
            given = DomainInput(
                self.model.model, self.tokens, parameters, self.micro_batch_tokens, self._on_tokens, part=part
            )
            return estimator(given).scores

    def _by_layer(self, number: int, states: Tensor, _batch: Tensor, rows: slice) -> Tensor:
        """0, with the gradient that the loss has by a layer's weights; that by its activations is kept."""
        into = self._there(states[rows]).requires_grad_()
        product = (self._run(number, into) * self._there(self._gradient[rows])).sum()

        def keep(gradient: Tensor) -> None:
            self._gradient[rows] = gradient.cpu()

        into.register_hook(keep)  # type: ignore[no-untyped-call]
        return product - product.detach()

    def _by_others(self, states: Tensor, batch: Tensor, rows: slice) -> Tensor:
        """The loss, with its gradient by what is outside the layers."""
        self._last = self._there(states[rows])
        loss = self._head.text_loss(batch)
        product = (self._first * self._there(self._gradient[rows])).sum()
        return loss + (product - product.detach())

    def _run(self, number: int, states: Float[Tensor, "rows length width"]) -> Tensor:
        arguments, named = self._calls[len(states)][number]
        found, tail = self._split(self.model.layers[number](states, *arguments, **named))
        if tail != self._tail:
            raise unfit(self.model.model, "its layers give unlike outputs")
        return found

    def _split(self, out: Any) -> tuple[Tensor, tuple[None, ...] | None]:
        """Hidden states, and the nothing that follows them where a layer gives a tuple."""
        if isinstance(out, Tensor):
            return out, None
        if isinstance(out, tuple) and isinstance(out[0], Tensor) and not any(each is not None for each in out[1:]):
            return out[0], out[1:]
        raise unfit(self.model.model, "its layers give more than hidden states")

    def _what_follows_states(self) -> tuple[None, ...] | None:
        states, (arguments, named) = self._embedded(self.tokens.input_ids[:1])
        with torch.no_grad(), self.model.brought(self.model.parts[0]):
            return self._split(self.model.layers[0](states, *arguments, **named))[1]

    @torch.no_grad()
    def _embedded(self, batch: Int64[Tensor, "rows length"]) -> tuple[Tensor, Call]:
        """What the first layer is given."""
        given: list[tuple[Tensor, Call]] = []

        def stop(_number: int, states: Tensor, call: Call) -> Any:
            given.append((states, call))
            raise _StopError

        with suppress(_StopError), self._handing_on(stop):
            self._pass(batch)
        return given[0]

    def _arguments(self, batch: Int64[Tensor, "rows length"]) -> list[Call]:
        """What each layer is given beside hidden states, whatever the tokens of so many rows are."""
        found: list[list[Call]] = []
        for tokens in (batch, (batch + 1) % self.model.vocabulary):
            calls: list[Call] = []
            seen: list[Tensor] = []

            def hand_on(
                number: int, states: Tensor, call: Call, calls: list[Call] = calls, seen: list[Tensor] = seen
            ) -> Any:
                if number != len(calls) or (seen and states is not seen[-1]):
                    raise unfit(self.model.model, "its layers don't follow one another")
                calls.append(call)
                seen.append(states)
                return self._like_a_layer(states)

            with self._handing_on(hand_on):
                self._pass(tokens)
            found.append(calls)
        tensors, of_others = ([each for each in tree_flatten(calls)[0] if isinstance(each, Tensor)] for calls in found)
        same = len(tensors) == len(of_others) and all(map(torch.equal, tensors, of_others))
        if len(found[0]) != len(self.model.parts) or not same or any(each.requires_grad for each in tensors):
            raise unfit(self.model.model, "its layers read more of the text than hidden states")
        return found[0]

    def _hand_on(self, number: int, states: Tensor, _call: Call) -> Any:
        """Instead of all layers: states as they are, or from the last those that are set for one pass."""
        if self._last is not None:
            if number == 0:
                self._first = states
            if number == len(self.model.parts) - 1:
                states, self._last = self._last, None
        return self._like_a_layer(states)

    def _like_a_layer(self, states: Tensor) -> Any:
        return states if self._tail is None else (states, *self._tail)

    @contextmanager
    def _handing_on(self, hand_on: Callable[[int, Tensor, Call], Any]) -> Iterator[None]:
        """Inside the block ``hand_on`` runs in place of every layer."""

        def instead(number: int, *arguments: Any, **named: Any) -> Any:
            if not arguments and _STATES not in named:
                raise unfit(self.model.model, "its layers are given no hidden states")
            states, *others = arguments or (named.pop(_STATES),)
            return hand_on(number, states, (tuple(others), named))

        own = [layer.forward for layer in self.model.layers]
        for number, layer in enumerate(self.model.layers):
            layer.forward = partial(instead, number)
        try:
            yield
        finally:
            for layer, forward in zip(self.model.layers, own, strict=True):
                layer.forward = forward

    def _pass(self, batch: Int64[Tensor, "rows length"]) -> None:
        self.model.model.base_model(input_ids=batch.to(self.model.place), use_cache=False)

    def _rows(self) -> Iterator[tuple[slice, Int64[Tensor, "rows length"]]]:
        start = 0
        for batch in self._batches:
            yield slice(start, start + len(batch)), batch
            start += len(batch)

    def _there(self, states: Tensor) -> Tensor:
        return states.to(self.model.place, copy=True)

    def _save(self, number: int, states: Tensor) -> None:
        save_file({_STATES: states}, self._file(number))

    def _load(self, number: int) -> Tensor:
        """Activations, which are needed no more on disk."""
        states = load_file(self._file(number))[_STATES]
        self._file(number).unlink()
        return states

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.safetensors"


def score_layer_by_layer(
    model: StreamedModel,
    packed: Sequence[tuple[Domain, PackedTokens]],
    estimator: Callable[[DomainInput], Estimate],
    micro_batch_tokens: int,
    writer: StoreWriter,
    listener: Callable[[str], Callable[[int], None]],
) -> None:
    """Write the scores of every domain; the listener of its name hears of the micro-batches of each of its parts.

    Raises:
        ModelError, NonFiniteError: as :class:`LayerByLayer`.
    """
    layout = ParameterLayout.of(model.model)
    for domain, tokens in packed:
        with TemporaryDirectory(dir=writer.folder) as activations:
            text = LayerByLayer(model, tokens, micro_batch_tokens, Path(activations))
            text.forward()
            details = {**details_of(tokens), "loss": text.loss, "finetuning_losses": ()}
            new = NewDomainScores(domain.name, domain.kind, {}, tokens.predicted_tokens, details)
            writer.add_parts(new, layout, text.scores(estimator, listener(domain.name)))
