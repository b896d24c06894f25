"""A study's scores: one store of the whole budget, and how far its choices agree.

1. The budget is scored in disjoint draws of text; scores that are linear in the loss add up, so their merge is the
   store of the whole budget, and pairs of draws show how far smaller budgets agree.
2. The first draw is scored again by the estimator's other reductions.
3. Reductions, aggregations, normalisations and budgets are compared (Jaccard of the top k%, Spearman), and what the
   two largest draws find is set beside one another (:mod:`codingspot.study.analyses`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from codingspot.analysis_tables import write_table
from codingspot.corpus import Corpus
from codingspot.directories import discard_scratch, scratch_folder
from codingspot.importance import (
    EstimatorTraits,
    FineTune,
    ScoreStore,
    disjoint_draws,
    estimator_traits,
    merge,
    resolve,
    score,
    score_pieces,
)
from codingspot.models import LoadedModel
from codingspot.spot import Variant, agreement, budget_curve
from codingspot.study.analyses import analyse_scores
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.finetuning import finetuned_scores

AGREEMENT_K = (0.01, 0.09, 0.25, 1.0)
"""Percentages of all parameters at which rankings are compared."""

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
    settings = _settings(study)
    if study.scoring.finetune is not None:
        return _after_finetuning(study, study.scoring.finetune, loaded, corpus, directory, settings, advance)
    if study.scoring.draws == 1 or not _traits(study).additive:
        store = score(loaded, corpus, directory.scores, token_budget=study.scoring.token_budget, **settings)
        analyse_scores(study, store, {}, directory)
        advance(1.0)
        return store
    scratch = _empty_scratch(directory)
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
    # The store of the whole budget appears last: a run that is stopped before makes the tables of its draws again.
    whole = merge(pieces, scratch / "whole")
    draws = disjoint_draws(pieces, scratch / "merged")
    tables = list(_agreement(study, whole, pieces, others, draws))
    write_table(directory.analysis, "agreement", pd.concat(tables, ignore_index=True))
    analyse_scores(study, whole, draws, directory)
    whole.folder.rename(directory.scores)
    discard_scratch(scratch)
    return ScoreStore.open(directory.scores)


def _after_finetuning(
    study: Study,
    finetune: FineTune,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
    settings: dict[str, Any],
    advance: Callable[[float], None],
) -> ScoreStore:
    scratch = _empty_scratch(directory)
    store = finetuned_scores(
        loaded,
        corpus,
        scratch / "finetuned",
        directory.analysis,
        finetune=finetune,
        seeds=study.scoring.snapshot_seeds,
        k_percents=AGREEMENT_K,
        token_budget=study.scoring.token_budget,
        settings=settings,
        progress=_Listener(advance, 1.0),
    )
    analyse_scores(study, store, {}, directory)
    store.folder.rename(directory.scores)  # last, so that a run that is stopped before makes the tables again
    discard_scratch(scratch)
    return ScoreStore.open(directory.scores)


def _empty_scratch(directory: RunDirectory) -> Path:
    discard_scratch(scratch_folder(directory.path, "scoring"))  # of a run that was stopped
    return scratch_folder(directory.path, "scoring")


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
        **parameters,
    }


def _other_reductions(study: Study) -> list[str]:
    own = _reduction(study)
    return [reduction for reduction in _traits(study).reductions if reduction != own]


def _traits(study: Study) -> EstimatorTraits:
    return estimator_traits(study.scoring.estimator, study.scoring.parameters)


def _reduction(study: Study) -> str:
    return str(resolve(study.scoring.estimator, study.scoring.parameters)[1].get("reduction", "corpus"))


def _agreement(
    study: Study,
    store: ScoreStore,
    pieces: list[ScoreStore],
    others: dict[str, ScoreStore],
    draws: dict[int, list[ScoreStore]],
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
    curve = budget_curve(draws, AGREEMENT_K)
    yield curve.assign(comparison="budget")
