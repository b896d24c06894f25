"""Loss of held-out documents, domain by domain."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from codingspot.corpus import Domain
from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.likelihood import Continuation, log_likelihoods
from codingspot.evaluation.results import DocumentLoss
from codingspot.tokenization import encode

if TYPE_CHECKING:
    from codingspot.evaluation.adapter import ModelAdapter


class HeldOutLoss:
    """Summed loss of each document of some domains, tokenised and laid out in batches once.

    Every token of a document is predicted, the first from the model's beginning-of-text (or end-of-text) token; a
    longer document is cut into windows, and a token is predicted from those before it in its window alone. Documents
    without a token are left out. Of a domain with more than ``tokens``, windows are drawn until there are as many, from
    all its documents alike; the last is cut short.

    Args:
        adapter: the model and its tokenizer.
        domains: whose documents are read.
        window: most tokens that a window has, where the model reads as many.
        tokens: most tokens of a domain; None for all.
        seed: of the draw of windows.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        domains: Sequence[Domain],
        *,
        window: int = WINDOW,
        tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        self._model = adapter.model
        self._documents: list[tuple[str, int, int]] = []  # domain, document, tokens
        continuations: list[Continuation] = []
        for domain in domains:
            encoded = encode(adapter.tokenizer, domain.texts, special_tokens=False)
            windows = [
                each
                for number, ids in enumerate(encoded)
                if ids
                for each in adapter.rolling_windows(ids, number, longest=window)
            ]
            if tokens is not None:
                windows = _drawn(windows, tokens, [seed, zlib.crc32(domain.name.encode())])
            for number, found in groupby(windows, key=lambda each: each.owner):
                own = [replace(each, owner=len(self._documents)) for each in found]
                continuations += own
                self._documents.append((domain.name, number, sum(each.scored for each in own)))
        self._batches = adapter.lay_out(continuations)

    def evaluate(self) -> list[DocumentLoss]:
        """Losses under the model's present weights, in the order of domains and documents."""
        scores, _ = log_likelihoods(self._model, self._batches, len(self._documents))
        return [
            DocumentLoss(domain, number, tokens, -score)
            for (domain, number, tokens), score in zip(self._documents, scores.tolist(), strict=True)
        ]


def _drawn(windows: Sequence[Continuation], tokens: int, seed: Sequence[int]) -> list[Continuation]:
    """Windows of ``tokens`` tokens in all, in the order given; each is as likely as any other to be among them."""
    if sum(window.scored for window in windows) <= tokens:
        return list(windows)
    drawn: dict[int, Continuation] = {}
    left = tokens
    for place in np.random.default_rng(seed).permutation(len(windows)).tolist():
        window = windows[place]
        drawn[place] = replace(window, tokens=window.tokens[: window.start + left])
        left -= drawn[place].scored
        if not left:
            break
    return [drawn[place] for place in sorted(drawn)]
