"""One embedding a text and layer, pooled as the hidden states arrive and kept on disk.

1. Equal token sequences are embedded once, so equal texts have equal embeddings whatever batch they were in.
2. Sequences of similar length share a batch, padded on the right; the batch is as large as its hidden states may be.
3. Each layer's states are pooled in float64 at once, and the batch's pooled rows written to the layer's part of a file.

So memory holds the hidden states of one batch, and afterwards the embeddings of one layer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from codingspot.errors import NonFiniteError
from codingspot.evaluation.batching import token_batches
from codingspot.models.hidden_states import hidden_states, state_count
from codingspot.tokenization import encode, opening_tokens
from codingspot.views.mexa import Pooling, SpecialTokens

_STATE_VALUES = 2**27
_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class TokenisedText:
    """Token ids, and which of them are pooled: the ``pooled`` ones from position ``start`` on."""

    tokens: tuple[int, ...]
    start: int
    pooled: int


def tokenise(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, special_tokens: SpecialTokens, longest: int
) -> tuple[list[TokenisedText], int]:
    """Tokens of each text, cut to ``longest``, and how many texts were cut.

    A text without a token of its own has ``pooled`` 0.
    """
    added = special_tokens != "none"
    opening = len(opening_tokens(tokenizer)) if added else 0
    unpooled = opening if special_tokens == "unpooled" else 0
    found, cut = [], 0
    for tokens in encode(tokenizer, texts, special_tokens=added):
        cut += len(tokens) > longest
        kept = tuple(tokens[:longest])
        own = len(kept) > opening
        found.append(TokenisedText(kept, unpooled, len(kept) - unpooled) if own else TokenisedText((), 0, 0))
    return found, cut


class EmbeddingFile:
    """Embeddings of all layers on disk: float32 ``[layers, texts, width]``, read one layer at a time."""

    def __init__(self, file: IO[bytes], layers: int, rows: Sequence[int], width: int) -> None:
        """``rows``: for each text, where in the file its embedding is."""
        self.file, self.layers, self.rows, self.width = file, layers, np.asarray(rows), width
        self.stored = int(self.rows.max()) + 1

    def write(self, layer: int, first: int, block: np.ndarray) -> None:
        """Put ``block`` (float32 ``[rows, width]``) at row ``first`` of ``layer``."""
        self.file.seek(4 * self.width * (layer * self.stored + first))
        self.file.write(np.ascontiguousarray(block, dtype=np.float32).tobytes())

    def layer(self, layer: int) -> np.ndarray:
        """Embeddings of all texts in one layer, float32 ``[texts, width]``."""
        self.file.seek(4 * self.width * layer * self.stored)
        data = self.file.read(4 * self.width * self.stored)
        vectors: np.ndarray = np.frombuffer(data, dtype=np.float32).reshape(self.stored, self.width)[self.rows]
        return vectors


def embed(
    model: PreTrainedModel,
    texts: Sequence[TokenisedText],
    file: IO[bytes],
    *,
    pooling: Pooling = "weighted",
    batch_tokens: int | None = None,
    progress: Callable[[str, float], None] = lambda _text, _share: None,
) -> EmbeddingFile:
    """Embed every text in every layer, into ``file``.

    ``batch_tokens`` is the most padded tokens of a batch; by default as many as keep its hidden states under half a
    gibibyte, and 4,096 at most. ``progress`` is told what is being done and the share of the tokens that are embedded.

    Raises:
        NonFiniteError: an embedding is not a number; the message names the layer.
    """
    layers, width = state_count(model), int(model.config.get_text_config().hidden_size)
    limit = batch_tokens or max(1, min(_BATCH_TOKENS, _STATE_VALUES // (layers * width)))
    distinct = list(dict.fromkeys(texts))
    batches = token_batches([len(text.tokens) for text in distinct], limit)
    places = {distinct[index]: place for place, index in enumerate(index for batch in batches for index in batch)}
    store = EmbeddingFile(file, layers, [places[text] for text in texts], width)
    first = embedded = 0
    total = sum(len(text.tokens) for text in distinct)
    for batch in batches:
        progress("embedding the texts", embedded / total)
        chosen = [distinct[index] for index in batch]
        ids, weights = _padded(chosen, pooling)
        weights = weights.to(model.device)
        for layer, states in enumerate(hidden_states(model, ids)):
            pooled = torch.einsum("bt,btd->bd", weights, states.double())
            if not pooled.isfinite().all():
                raise NonFiniteError(f"the hidden states of layer {layer} are not finite; load the model in float32")
            store.write(layer, first, pooled.float().cpu().numpy())
        first += len(batch)
        embedded += sum(len(text.tokens) for text in chosen)
    return store


def _padded(texts: Sequence[TokenisedText], pooling: Pooling) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (int64) and the weight of each token in its text's embedding (float64), ``[texts, longest]``."""
    longest = max(len(text.tokens) for text in texts)
    ids = torch.zeros(len(texts), longest, dtype=torch.int64)
    weights = torch.zeros(len(texts), longest, dtype=torch.float64)
    for row, text in enumerate(texts):
        ids[row, : len(text.tokens)] = torch.tensor(text.tokens)
        weights[row, text.start : text.start + text.pooled] = pooling_weights(text.pooled, pooling)
    return ids, weights


def pooling_weights(tokens: int, pooling: Pooling) -> torch.Tensor:
    """Weights of a text's pooled tokens, float64 ``[tokens]``, which sum to one.

    ``weighted``: t / (1 + ... + tokens) for the t-th. ``last``: all on the last.
    """
    if pooling == "last":
        weights = torch.zeros(tokens, dtype=torch.float64)
        weights[-1] = 1
        return weights
    weights = torch.arange(1, tokens + 1, dtype=torch.float64)
    return weights / weights.sum()


def scratch_file(folder: Path | None) -> IO[bytes]:
    """A file without a name in ``folder``, or where temporary files go; it vanishes when it is closed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
