"""A study's scores: one store of the whole budget, and how far its choices agree.

1. The budget is scored in disjoint draws of text; scores that are linear in the loss add up, so their merge is the
   store of the whole budget, and pairs of draws show how far smaller budgets agree.
2. The first draw is scored again by the estimator's other reductions.
3. Reductions, aggregations, normalisations and budgets are compared (Jaccard of the top k%, Spearman).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from codingspot.corpus import Corpus
from codingspot.files import atomic_path
from codingspot.importance import ScoreStore, disjoint_draws, is_additive, merge, resolve, score, score_pieces
from codingspot.models import LoadedModel
from codingspot.spot import Variant, agreement, budget_curve
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory

AGREEMENT_K = (0.01, 0.09, 0.25, 1.0)
"""Percentages of all parameters at which rankings are compared."""

_REDUCTIONS = ("corpus", "microbatch", "sequence")
_AGGREGATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "sum": ("sum", {}),
    "token-weighted": ("sum", {"aggregation": "token-weighted"}),
    "median": ("sum", {"aggregation": "median"}),
    "trimmed mean": ("sum", {"aggregation": "trimmed-mean"}),
}


def study_scores(
    study: Study, loaded: LoadedModel, corpus: Corpus, directory: RunDirectory, advance: Callable[[float], None]
) -> ScoreStore:
    """The score store of ``study``, made or opened; ``advance`` hears the share of the scoring that was done."""
    if (directory.scores / "manifest.json").exists():
        return ScoreStore.open(directory.scores)
    scratch = directory.path / "scratch"
    settings = _settings(study)
    if study.scoring.draws == 1 or not is_additive(study.scoring.estimator, study.scoring.parameters):
        store = score(loaded, corpus, directory.scores, token_budget=study.scoring.token_budget, **settings)
        advance(1.0)
        return store
    shutil.rmtree(scratch, ignore_errors=True)
    share = study.scoring.token_budget // study.scoring.draws
    extra = _other_reductions(study)
    units = study.scoring.draws + len(extra)
    pieces = score_pieces(
        loaded,
        corpus,
        scratch / "draws",
        pieces=study.scoring.draws,
        token_budget=share,
        progress=_Listener(advance, study.scoring.draws / units / study.scoring.draws),
        **settings,
    )
    others = {}
    for reduction in extra:
        varied = {**settings, "reduction": reduction}
        others[reduction] = score(loaded, corpus, scratch / reduction, token_budget=share, **varied)
        advance(1 / units)
    store = merge(pieces, directory.scores)
    tables = list(_agreement(study, store, pieces, others, scratch))
    write_table(pd.concat(tables, ignore_index=True), directory.analysis / "agreement.parquet")
    shutil.rmtree(scratch, ignore_errors=True)
    return store


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write one analysis table, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


@dataclass
class _Listener:
    """Turns an estimator's token counts into shares of the scoring."""

    advance: Callable[[float], None]
    share: float
    done: float = 0.0

    def __call__(self, domain: str, done: int, total: int) -> None:
        del domain
        now = done / total
        step = now - self.done if now >= self.done else now
        self.done = now
        self.advance(step * self.share)


def _settings(study: Study) -> dict[str, Any]:
    section = study.scoring
    estimator, parameters = resolve(section.estimator, section.parameters)
    return {
        "estimator": estimator,
        "normalise": section.normalise,
        "sequence_length": section.sequence_length,
        "micro_batch_tokens": section.micro_batch_tokens,
        "seed": section.seed,
        "bos": section.bos,
        "finetune": section.finetune,
        **parameters,
    }


def _other_reductions(study: Study) -> list[str]:
    own = _reduction(study)
    return [reduction for reduction in _REDUCTIONS if reduction != own]


def _reduction(study: Study) -> str:
    return str(resolve(study.scoring.estimator, study.scoring.parameters)[1].get("reduction", "corpus"))


def _agreement(
    study: Study, store: ScoreStore, pieces: list[ScoreStore], others: dict[str, ScoreStore], scratch: Path
) -> Iterator[pd.DataFrame]:
    """Tables with columns comparison, first, second, k_percent, jaccard, expected_jaccard, spearman, token_budget."""
    own = _reduction(study)
    reductions = {own: Variant(pieces[0]), **{name: Variant(other) for name, other in others.items()}}
    aggregations = {name: Variant(store, recipe, parameters) for name, (recipe, parameters) in _AGGREGATIONS.items()}
    normalisations = {
        "tokens": Variant(store.with_normalisation("tokens")),
        "zscore": Variant(store.with_normalisation("zscore")),
    }
    for comparison, variants in (
        ("reduction", reductions),
        ("aggregation", aggregations),
        ("normalisation", normalisations),
    ):
        if len(variants) > 1:
            yield agreement(variants, AGREEMENT_K).assign(comparison=comparison)
    curve = budget_curve(disjoint_draws(pieces, scratch / "merged"), AGREEMENT_K)
    yield curve.assign(comparison="budget")
