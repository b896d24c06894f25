"""Independent draws of text at several token budgets, from one pass over the largest of them.

Scores that are linear in the loss add up: those of two pieces of text, weighted by their predicted tokens, are those of
both together. So pieces scored once give disjoint draws at every doubling of the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from codingspot.corpus import Corpus
from codingspot.errors import StudyError
from codingspot.importance.scoring import score
from codingspot.importance.store import DomainScores, NewDomainScores, ScoreStore
from codingspot.models import LoadedModel


def score_pieces(
    loaded: LoadedModel, corpus: Corpus, folder: Path, *, pieces: int, token_budget: int, **settings: Any
) -> list[ScoreStore]:
    """Stores of ``pieces`` disjoint pieces of ``token_budget`` tokens a domain, as sub-folders of ``folder``.

    ``settings`` are those of :func:`codingspot.importance.score`. The pieces share no token; a document may end one and
    begin the next.

    Raises:
        CorpusError: a domain is too short for all the pieces.
    """
    return [
        score(
            loaded,
            corpus,
            folder / f"piece-{index}",
            token_budget=token_budget,
            skip_tokens=index * token_budget,
            **settings,
        )
        for index in range(pieces)
    ]


def disjoint_draws(pieces: Sequence[ScoreStore], folder: Path) -> dict[int, list[ScoreStore]]:
    """By token budget (tokens a domain), stores of draws that share no text: the pieces, pairs of them, fours, ...

    Stops where fewer than two draws would be left. Merged stores are written as sub-folders of ``folder``.

    Raises:
        StudyError: the scores don't add up (of such an estimator, or after fine-tuning).
    """
    draws: dict[int, list[ScoreStore]] = {}
    size = 1
    while len(pieces) // size >= 2:
        groups = [pieces[start : start + size] for start in range(0, len(pieces) - size + 1, size)]
        merged = [merge(group, folder / f"{size}-pieces-{index}") for index, group in enumerate(groups)]
        draws[max(domain.details["tokens"] for domain in merged[0].domains)] = merged
        size *= 2
    return draws


def merge(stores: Sequence[ScoreStore], folder: Path) -> ScoreStore:
    """The scores of all the stores' text together: means weighted by predicted tokens.

    Raises:
        StudyError: the scores don't add up (of such an estimator, or after fine-tuning).
    """
    if len(stores) == 1:
        return stores[0]
    first = stores[0]
    settings = first.manifest.get("settings") or {}
    if not first.traits.additive:
        raise StudyError(
            f"the scores of {first.folder} don't add up over texts: their estimator isn't linear in the loss (as an L2 "
            "norm isn't), or the model was fine-tuned; score each budget by itself"
        )
    budgets = [(store.manifest.get("settings") or {}).get("token_budget") for store in stores]
    if None not in budgets:
        settings = {**settings, "token_budget": sum(budgets)}
    provenance = {**first.manifest, "settings": settings, "merged": [store.digest for store in stores]}
    return ScoreStore.write(
        folder,
        _merged_domains(stores),
        provenance=provenance,
        normalise=first.normalise,
        inputs=[store.folder for store in stores],
    )


def _merged_domains(stores: Sequence[ScoreStore]) -> Iterator[NewDomainScores]:
    for domain in stores[0].domains:
        parts = [store.domain(domain.name) for store in stores]
        predicted = sum(part.predicted_tokens for part in parts)
        yield NewDomainScores(
            domain.name,
            domain.kind,
            {name: _weighted_mean(stores, domain.name, name, predicted) for name in stores[0].layout.names},
            predicted,
            _merged_details(parts),
        )


def _merged_details(parts: Sequence[DomainScores]) -> dict[str, Any]:
    details: dict[str, Any] = {"tokens": sum(part.details.get("tokens", part.predicted_tokens) for part in parts)}
    if all(part.details.get("loss") is not None for part in parts):
        summed = sum(float(part.details["loss"]) * part.predicted_tokens for part in parts)
        details["loss"] = summed / sum(part.predicted_tokens for part in parts)
    return details


def _weighted_mean(stores: Sequence[ScoreStore], domain: str, name: str, predicted: int) -> Tensor:
    total = stores[0].tensor(domain, name).mul_(stores[0].domain(domain).predicted_tokens / predicted)
    for store in stores[1:]:
        total.add_(store.tensor(domain, name), alpha=store.domain(domain).predicted_tokens / predicted)
    return total
