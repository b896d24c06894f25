"""A study's scores: one store of the whole budget, and how far its choices agree.

1. Every domain's budget is scored in disjoint draws of text, one after the other: the store has the scores of all of
   them together, and a store for each draw has those at a sample of the parameters.
2. The first draw is scored again by the estimator's other reductions, at the sample alone.
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
from codingspot.errors import StudyError
from codingspot.importance import EstimatorTraits, ScoreStore, disjoint_draws, estimator_traits, merge, resolve, score
from codingspot.models import LoadedModel, ParameterLayout
from codingspot.spot import Variant, agreement, budget_curve
from codingspot.study.analyses import analyse_scores
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.finetuning import finetuned_scores
from codingspot.study.keeping import folds

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
    folders = [directory.draws / f"draw-{number}" for number in range(draw_count(study))]
    passes = len(folders) + len(_other_reductions(study))
    folded = folds(study, ParameterLayout.of(loaded.model).total)
    if not (directory.scores / "manifest.json").exists():
        _score(study, loaded, corpus, directory, folders, folded, _Listener(advance, len(folders) / passes))
    store = ScoreStore.open(directory.scores)
    if store.folded and not folded:
        raise StudyError(
            f"{directory.scores} keeps the sum of the languages' scores alone, and this study needs each; score anew "
            "in another --out"
        )
    draws = [ScoreStore.open(folder) for folder in folders]
    if len(draws) > 1 and not (directory.analysis / "agreement.parquet").exists():
        reductions = {_reduction(study): draws[0]}
        for name in _other_reductions(study):
            reductions[name] = _by_reduction(study, loaded, corpus, directory, name)
            advance(1 / passes)
        tables = list(_agreement(draws, reductions))
        write_table(directory.analysis, "agreement", pd.concat(tables, ignore_index=True))
    analyse_scores(study, draws, directory)
    return store


def _score(
    study: Study,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
    draws: list[Path],
    folded: bool,
    progress: _Listener,
) -> None:
    settings = {
        **_settings(study),
        "token_budget": study.scoring.token_budget,
        "draws": draws,
        "folded": folded,
        "progress": progress,
        "force": True,  # draws that a run left which was stopped before the store of the whole was there
    }
    finetune = study.scoring.finetune
    if finetune is None:
        partial = scratch_folder(directory.path, "scoring")
        score(loaded, corpus, directory.scores, partial=partial, **settings)
        discard_scratch(partial)
        return
    finetuned_scores(
        loaded,
        corpus,
        directory.scores,
        directory.analysis,
        finetune=finetune,
        seeds=study.scoring.snapshot_seeds,
        k_percents=AGREEMENT_K,
        settings=settings,
    )


def _by_reduction(
    study: Study, loaded: LoadedModel, corpus: Corpus, directory: RunDirectory, reduction: str
) -> ScoreStore:
    """The scores of the first draw's text by another reduction, at the sample."""
    folder = directory.path / "draws" / f"by-{reduction}"  # other draws may be another run's
    if (folder / "manifest.json").exists():
        return ScoreStore.open(folder)
    budget = study.scoring.token_budget // study.scoring.draws
    settings = {**_settings(study), "reduction": reduction}
    return score(loaded, corpus, folder, token_budget=budget, sample_only=True, **settings)


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
        **parameters,
    }


def draw_count(study: Study) -> int:
    """Parts of a study's text that are scored by themselves; one where their scores don't add up."""
    return study.scoring.draws if _traits(study).additive and study.scoring.finetune is None else 1


def _other_reductions(study: Study) -> list[str]:
    if draw_count(study) == 1 or "reductions" not in study.analyses:
        return []
    own = _reduction(study)
    return [reduction for reduction in _traits(study).reductions if reduction != own]


def _traits(study: Study) -> EstimatorTraits:
    return estimator_traits(study.scoring.estimator, study.scoring.parameters)


def _reduction(study: Study) -> str:
    return str(resolve(study.scoring.estimator, study.scoring.parameters)[1].get("reduction", "corpus"))


def _agreement(draws: list[ScoreStore], reductions: dict[str, ScoreStore]) -> Iterator[pd.DataFrame]:
    """Tables with columns comparison, first, second, k_percent, jaccard, expected_jaccard, spearman, token_budget."""
    whole = merge(draws)
    comparisons = {
        "reduction": {name: Variant(store) for name, store in reductions.items()},
        "aggregation": {name: Variant(whole, recipe, given) for name, (recipe, given) in _AGGREGATIONS.items()},
        "normalisation": {
            "tokens": Variant(whole.with_normalisation("tokens")),
            "zscore": Variant(whole.with_normalisation("zscore")),
        },
    }
    for comparison, variants in comparisons.items():
        if len(variants) > 1:
            yield agreement(variants, AGREEMENT_K).assign(comparison=comparison)
    curve = budget_curve(disjoint_draws(draws), AGREEMENT_K)
    yield curve.assign(comparison="budget")
