"""Disjoint draws of text: what each finds, at a seeded sample of the parameters.

Whole scores of every draw would take a score store each. How far draws agree is read off a sample of the parameters as
well: the top k% of the sample stand for the top k% of the model. A model no larger than the sample is taken whole.
Scores that are linear in the loss add up: those of two draws, weighted by their predicted tokens, are those of both
together, so that small draws give larger ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from codingspot.errors import StudyError
from codingspot.importance.manifest import DomainScores
from codingspot.importance.store import ScoreStore
from codingspot.importance.writing import mean_and_deviation

T = TypeVar("T")

SAMPLE = 1 << 22
"""About how many parameters stand for all of a larger model."""


def sample_offsets(sizes: Mapping[str, int], size: int = SAMPLE, seed: int = 0) -> dict[str, Int64[Tensor, " m"]]:
    """Offsets into each flattened tensor of about ``size`` elements drawn uniformly, or of all if there are fewer.

    ``sizes`` are by name, in order. A tensor of which none was drawn is left out.
    """
    total = sum(sizes.values())
    # Drawn with replacement, repeats dropped: a draw without would list every element of the model first.
    chosen = np.arange(total) if total <= size else np.unique(np.random.default_rng(seed).integers(total, size=size))
    ends = np.searchsorted(chosen, [0, *accumulate(sizes.values())])
    starts = accumulate(sizes.values(), initial=0)
    found = {
        name: torch.from_numpy(chosen[low:high] - start)
        for name, start, (low, high) in zip(sizes, starts, pairwise(ends.tolist()), strict=False)
    }
    return {name: offsets for name, offsets in found.items() if len(offsets)}


def disjoint_draws(draws: Sequence[ScoreStore]) -> dict[int, list[ScoreStore]]:
    """By token budget (tokens a domain), scores of text that share none: the draws, pairs of them, fours, ...

    Stops where fewer than two would be left. ``draws`` are those that :func:`codingspot.importance.score` keeps.

    Raises:
        StudyError: the scores don't add up (of such an estimator, or after fine-tuning).
    """
    found: dict[int, list[ScoreStore]] = {}
    for groups in disjoint_groups(draws):
        merged = [merge(group) for group in groups]
        found[max(domain.details["tokens"] for domain in merged[0].domains)] = merged
    return found


def disjoint_groups(draws: Sequence[T]) -> Iterator[list[Sequence[T]]]:
    """The draws one by one, then in pairs, fours, ..., as long as there are two such groups."""
    size = 1
    while len(draws) // size >= 2:
        yield [draws[start : start + size] for start in range(0, len(draws) - size + 1, size)]
        size *= 2


@dataclass(frozen=True)
class _Merged(ScoreStore):
    """The scores of several stores' text together: means weighted by predicted tokens, taken when they are read."""

    members: tuple[ScoreStore, ...] = ()

    def part(self, domain: str, name: str, start: int, stop: int) -> Float32[Tensor, " n"]:
        predicted = [member.domain(domain).predicted_tokens for member in self.members]
        first, *others = (member.part(domain, name, start, stop) for member in self.members)
        total = first.mul_(predicted[0] / sum(predicted))
        for other, tokens in zip(others, predicted[1:], strict=True):
            total.add_(other, alpha=tokens / sum(predicted))
        return total


def merge(stores: Sequence[ScoreStore]) -> ScoreStore:
    """The scores of all the stores' text together: means weighted by predicted tokens. Nothing is written.

    Raises:
        StudyError: the scores don't add up (of such an estimator, or after fine-tuning).
    """
    first, *others = stores
    if not others:
        return first
    if not first.traits.additive:
        raise StudyError(
            f"the scores of {first.folder} don't add up over texts: their estimator isn't linear in the loss (as an L2 "
            "norm isn't), or the model was fine-tuned; score each budget by itself"
        )
    settings = dict(first.manifest.get("settings") or {})
    budgets = [(store.manifest.get("settings") or {}).get("token_budget") for store in stores]
    if None not in budgets:
        settings["token_budget"] = sum(budgets)
    manifest = {**first.manifest, "settings": settings, "merged": [store.digest for store in stores]}
    merged = _Merged(first.folder, first.layout, first.domains, first.normalise, manifest, tuple(stores))
    return replace(merged, domains=tuple(_merged_domains(merged)))


def _merged_domains(merged: _Merged) -> Iterator[DomainScores]:
    for domain in merged.domains:
        parts = [store.domain(domain.name) for store in merged.members]
        mean, deviation = mean_and_deviation(merged.tensor(domain.name, name) for name in merged.layout.names)
        yield replace(
            domain,
            predicted_tokens=sum(part.predicted_tokens for part in parts),
            mean=mean,
            deviation=deviation,
            files=(),
            details=_merged_details(parts),
        )


def _merged_details(parts: Sequence[DomainScores]) -> dict[str, Any]:
    details: dict[str, Any] = {"tokens": sum(part.details.get("tokens", part.predicted_tokens) for part in parts)}
    if all(part.details.get("loss") is not None for part in parts):
        summed = sum(float(part.details["loss"]) * part.predicted_tokens for part in parts)
        details["loss"] = summed / sum(part.predicted_tokens for part in parts)
    return details
