"""What the lens reads at some positions of a layer, streamed: no tensor of layers x positions x vocabulary exists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import NonFiniteError
from codingspot.evaluation.batching import token_batches
from codingspot.models.hidden_states import hidden_states, state_count
from codingspot.views.lens.keywords import TokenSet
from codingspot.views.lens.prompts import TokenisedTranslation
from codingspot.views.lens.unembedding import TunedLens, Unembedding

TOP = 10
"""How many of the most probable tokens are looked at (alpha in arXiv 2506.01074)."""

_STATE_VALUES = 2**27
_LOGITS = 2**24


@dataclass(frozen=True)
class Reading:
    """One layer's view of some positions, each of which predicts a token.

    Attributes:
        items, places: int64 ``[positions]``, number of the text and place of the predicted token in its answer.
        targets: int64 ``[positions]``, the token that follows.
        probability, rank: float64 and int64 ``[positions]``, of the target; rank 1 is the most probable.
        entropy: float64 ``[positions]``, of the distribution, in nats.
        top_tokens, top_probabilities: int64 and float32 ``[positions, 10]``.
        set_shares: float64 ``[positions, sets]``, share of the ten tokens that belong to each set.
        set_probabilities: float64 ``[positions, sets]``, summed probability of each set.
        set_ranks: int64 ``[positions, sets]``, rank of its most probable token.
        mean: float64 ``[vocabulary]``, sum of the distributions over positions.
    """

    items: Tensor
    places: Tensor
    targets: Tensor
    probability: Tensor
    rank: Tensor
    entropy: Tensor
    top_tokens: Tensor
    top_probabilities: Tensor
    set_shares: Tensor
    set_probabilities: Tensor
    set_ranks: Tensor
    mean: Tensor


def read_layers(
    model: PreTrainedModel,
    unembedding: Unembedding,
    texts: Sequence[TokenisedTranslation],
    sets: Sequence[TokenSet],
    *,
    tuned: TunedLens | None = None,
    batch_tokens: int | None = None,
) -> Iterator[tuple[int, Reading]]:
    """Layer by layer and chunk by chunk, what the lens reads at every position of the teacher-forced answers.

    One forward pass a batch. Layer 0 is the token embeddings; the last layer is the model's own output.

    Raises:
        NonFiniteError: a logit is not a number; the message names the layer.
        ModelError: the model doesn't give its hidden states.
    """
    layers, width = state_count(model), int(model.config.get_text_config().hidden_size)
    limit = batch_tokens or max(1, min(4096, _STATE_VALUES // (layers * width)))
    members = _members(sets, model.device)
    for batch in token_batches([len(text.tokens) for text in texts], limit):
        longest = max(len(texts[i].tokens) for i in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.int64)
        rows, columns, items, places, targets = [], [], [], [], []
        for row, number in enumerate(batch):
            tokens, start = texts[number].tokens, texts[number].start
            ids[row, : len(tokens)] = torch.tensor(tokens)
            for column in range(start - 1, len(tokens) - 1):
                rows.append(row)
                columns.append(column)
                items.append(number)
                places.append(column - start + 1)
                targets.append(tokens[column + 1])
        labels = [torch.tensor(each, device=model.device) for each in (items, places, targets)]
        for layer, states in enumerate(hidden_states(model, ids)):
            chosen = states[rows, columns]
            last = layer == layers - 1
            if tuned is not None and not last:
                chosen = tuned(layer, chosen)
            for part in _chunks(len(chosen), model.config.get_text_config().vocab_size):
                logits = unembedding(chosen[part], normalised=last)
                if not logits.isfinite().all():
                    raise NonFiniteError(f"the logits of layer {layer} are not finite; load the model in float32")
                yield layer, _read(logits, [each[part] for each in labels], members)


def _chunks(positions: int, vocabulary: int) -> Iterator[slice]:
    step = max(1, _LOGITS // vocabulary)
    for start in range(0, positions, step):
        yield slice(start, start + step)


def _members(sets: Sequence[TokenSet], device: torch.device) -> list[Tensor]:
    return [torch.tensor(each.tokens, device=device) for each in sets]


def _read(logits: Tensor, labels: list[Tensor], members: list[Tensor]) -> Reading:
    """Everything of one chunk; ``logits`` is ``[positions, vocabulary]``, float32."""
    items, places, targets = labels
    probabilities = logits.softmax(-1)
    ascending = logits.sort(-1).values
    top = logits.topk(min(TOP, logits.shape[-1]), -1)
    target = logits.gather(1, targets[:, None])
    shares, sums, best = [], [], []
    for tokens in members:
        shares.append(torch.isin(top.indices, tokens).double().mean(-1))
        sums.append(probabilities[:, tokens].double().sum(-1))
        best.append(logits[:, tokens].amax(-1))
    ranks = _ranks(ascending, torch.stack([target[:, 0], *best], -1))
    return Reading(
        items=items.cpu(),
        places=places.cpu(),
        targets=targets.cpu(),
        probability=probabilities.gather(1, targets[:, None])[:, 0].double().cpu(),
        rank=ranks[:, 0].cpu(),
        entropy=torch.special.entr(probabilities.double()).sum(-1).cpu(),
        top_tokens=top.indices.cpu(),
        top_probabilities=probabilities.gather(1, top.indices).cpu(),
        set_shares=torch.stack(shares, -1).cpu(),
        set_probabilities=torch.stack(sums, -1).cpu(),
        set_ranks=ranks[:, 1:].cpu(),
        mean=probabilities.double().sum(0).cpu(),
    )


def _ranks(ascending: Tensor, values: Tensor) -> Tensor:
    """1 + how many of each row's values are larger: int64 like ``values`` ``[positions, n]``."""
    return ascending.shape[-1] - torch.searchsorted(ascending, values, right=True) + 1
