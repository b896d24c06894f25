"""Loss of held-out documents, domain by domain."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from codingspot.corpus import Domain
from codingspot.corpus.languages import canonical_language
from codingspot.corpus.token_classes import TOKEN_CLASSES, token_classes
from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.likelihood import Continuation, log_likelihoods_by_class
from codingspot.evaluation.results import DocumentLoss
from codingspot.tokenization import encode, spans

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from codingspot.evaluation.adapter import ModelAdapter


class HeldOutLoss:
    """Summed loss of each document of some domains, tokenised and laid out in batches once.

    Every token of a document is predicted, the first from the model's beginning-of-text (or end-of-text) token; a
    longer document is cut into windows, and a token is predicted from those before it in its window alone. Documents
    without a token are left out. Of a domain with more than ``tokens``, windows are drawn until there are as many, from
    all its documents alike; the last is cut short.

    Losses are told apart by the class of token too, as :mod:`codingspot.corpus.token_classes` has them.

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
        self._documents: list[DocumentLoss] = []  # with no loss yet
        continuations: list[Continuation] = []
        for domain in domains:
            for document, windows in _read(adapter, domain, window, tokens, seed):
                continuations += [replace(each, owner=len(self._documents)) for each in windows]
                self._documents.append(document)
        self._batches = adapter.lay_out(continuations)

    def evaluate(self) -> list[DocumentLoss]:
        """Losses under the model's present weights, in the order of domains and documents."""
        total, apart = log_likelihoods_by_class(self._model, self._batches, len(self._documents), len(TOKEN_CLASSES))
        return [
            replace(
                document, loss=-score, class_losses=tuple(-each for each in by_class) if document.class_tokens else None
            )
            for document, score, by_class in zip(self._documents, total.tolist(), apart.tolist(), strict=True)
        ]


def _read(
    adapter: ModelAdapter, domain: Domain, window: int, tokens: int | None, seed: int
) -> Iterator[tuple[DocumentLoss, list[Continuation]]]:
    """Each document of a domain that is read, with its windows and the classes of their tokens."""
    encoded = encode(adapter.tokenizer, domain.texts, special_tokens=False)
    windows = [
        each
        for number, ids in enumerate(encoded)
        if ids
        for each in _windows(adapter.rolling_windows(ids, number, longest=window))
    ]
    if tokens is not None:
        windows = _drawn(windows, tokens, [seed, zlib.crc32(domain.name.encode())])
    for number, found in groupby(windows, key=lambda each: each.read.owner):
        classes = _classes(adapter.tokenizer, domain, number, len(encoded[number]))
        own = [each.numbered(classes) for each in found]
        counts = np.bincount([one for each in own for one in each.classes], minlength=len(TOKEN_CLASSES))
        scored = sum(each.scored for each in own)
        yield DocumentLoss(domain.name, number, scored, 0.0, tuple(counts.tolist()) if classes else None), own


@dataclass(frozen=True)
class _Window:
    """A window of a document: what is read, and which of the document's tokens is the first that is scored."""

    read: Continuation
    first: int

    def numbered(self, classes: Sequence[int]) -> Continuation:
        """What is read, with the classes of its scored tokens among those of the document's."""
        return replace(self.read, classes=tuple(classes[self.first : self.first + self.read.scored]))


def _windows(read: Iterable[Continuation]) -> Iterator[_Window]:
    first = 0
    for continuation in read:
        yield _Window(continuation, first)
        first += continuation.scored


def _classes(tokenizer: PreTrainedTokenizerBase, domain: Domain, document: int, tokens: int) -> list[int]:
    """The class of each token of a document; empty where the tokenizer doesn't say where tokens are."""
    text = domain.texts[document]
    found = spans(tokenizer, [text])
    if found is None or len(found[0]) != tokens:
        return []
    return token_classes(text, found[0], canonical_language(domain.name) if domain.kind == "code" else None)


def _drawn(windows: Sequence[_Window], tokens: int, seed: Sequence[int]) -> list[_Window]:
    """Windows of ``tokens`` tokens in all, in the order given; each is as likely as any other to be among them."""
    if sum(window.read.scored for window in windows) <= tokens:
        return list(windows)
    drawn: dict[int, _Window] = {}
    left = tokens
    for place in np.random.default_rng(seed).permutation(len(windows)).tolist():
        read = windows[place].read
        cut = replace(read, tokens=read.tokens[: read.start + left])
        drawn[place] = replace(windows[place], read=cut)
        left -= cut.scored
        if not left:
            break
    return [drawn[place] for place in sorted(drawn)]
