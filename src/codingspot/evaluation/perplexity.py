"""Loss of held-out documents, domain by domain."""

from __future__ import annotations

from collections.abc import Sequence

from codingspot.corpus import Domain
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.likelihood import Continuation, log_likelihoods
from codingspot.evaluation.results import DocumentLoss
from codingspot.tokenization import encode

WINDOW = 2048
"""Tokens of a window: what a model's attention takes grows with their square."""


class HeldOutLoss:
    """Summed loss of each document of some domains, tokenised and laid out in batches once.

    Every token of a document is predicted, the first from the model's beginning-of-text (or end-of-text) token; a
    longer document is cut into windows, and a token is predicted from those before it in its window alone. Documents
    without a token are left out.

    Args:
        adapter: the model and its tokenizer.
        domains: whose documents are read.
        window: most tokens that a window has, where the model reads as many.
    """

    def __init__(self, adapter: ModelAdapter, domains: Sequence[Domain], *, window: int = WINDOW) -> None:
        self._model = adapter.model
        self._documents: list[tuple[str, int, int]] = []  # domain, document, tokens
        continuations: list[Continuation] = []
        for domain in domains:
            encoded = encode(adapter.tokenizer, domain.texts, special_tokens=False)
            for number, tokens in enumerate(encoded):
                if tokens:
                    continuations += adapter.rolling_windows(tokens, len(self._documents), longest=window)
                    self._documents.append((domain.name, number, len(tokens)))
        self._batches = adapter.lay_out(continuations)

    def evaluate(self) -> list[DocumentLoss]:
        """Losses under the model's present weights, in the order of domains and documents."""
        scores, _ = log_likelihoods(self._model, self._batches, len(self._documents))
        return [
            DocumentLoss(domain, number, tokens, -score)
            for (domain, number, tokens), score in zip(self._documents, scores.tolist(), strict=True)
        ]
