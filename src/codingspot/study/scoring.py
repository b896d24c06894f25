"""A study's scores: one store of the whole budget, and how far its choices agree.

1. Every domain's budget is scored in disjoint draws of text, one after the other: the store has the scores of all of
   them together, and a store for each draw has those at a sample of the parameters.
2. For an analysis that asks, the first draw is scored again by the estimator's other reductions, at the sample alone.
3. Analyses compare these: :mod:`codingspot.analyses.reductions`, ``overlap`` and ``reliability``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codingspot.analysis_registry import ANALYSES, DOSES_COMPARED
from codingspot.corpus import Corpus
from codingspot.directories import discard_scratch, scratch_folder
from codingspot.errors import StudyError
from codingspot.importance import EstimatorTraits, ScoreStore, estimator_traits, resolve, score
from codingspot.models import LoadedModel, ParameterLayout
from codingspot.spot.evolution import SnapshotRecorder
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.finetuning import finetuned_scores
from codingspot.study.keeping import folds


@dataclass(frozen=True)
class Scored:
    """A study's scores.

    Attributes:
        store: of every parameter for every domain.
        draws: of each draw of text, at a sample of the parameters.
        by_reduction: of the first draw's text by another reduction, made or opened.
        snapshots: recorded in fine-tuning, where the store was made now; None otherwise.
        losses: of every step of it, by seed and domain.
    """

    store: ScoreStore
    draws: tuple[ScoreStore, ...]
    by_reduction: Callable[[str], ScoreStore]
    snapshots: SnapshotRecorder | None = None
    losses: Mapping[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)


def study_scores(
    study: Study, loaded: LoadedModel, corpus: Corpus, directory: RunDirectory, advance: Callable[[float], None]
) -> Scored:
    """The scores of ``study``, made or opened; ``advance`` hears the share of the scoring that was done."""
    folders = [directory.draws / f"draw-{number}" for number in range(draw_count(study))]
    passes = len(folders) + further_passes(study)
    folded = folds(study, ParameterLayout.of(loaded.model).total)
    recorded: dict[str, Any] = {}
    if not (directory.scores / "manifest.json").exists():
        recorded = _score(study, loaded, corpus, directory, folders, folded, _Listener(advance, len(folders) / passes))
    store = ScoreStore.open(directory.scores)
    if store.folded and not folded:
        raise StudyError(
            f"{directory.scores} keeps the sum of the languages' scores alone, and this study needs each; score anew "
            "in another --out"
        )

    def by_reduction(name: str) -> ScoreStore:
        advance(1 / passes)
        return _by_reduction(study, loaded, corpus, directory, name)

    return Scored(store, tuple(map(ScoreStore.open, folders)), by_reduction, **recorded)


def _score(
    study: Study,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
    draws: list[Path],
    folded: bool,
    progress: _Listener,
) -> dict[str, Any]:
    """Score into the directory; what was recorded in fine-tuning."""
    settings = {
        **_settings(study),
        "token_budget": study.scoring.token_budget,
        "draws": draws,
        "folded": folded,
        "keep_dtype": study.scoring.keep_dtype,
        "progress": progress,
        "force": True,  # draws that a run left which was stopped before the store of the whole was there
    }
    finetune = study.scoring.finetune
    if finetune is None:
        partial = scratch_folder(directory.path, "scoring")
        score(loaded, corpus, directory.scores, partial=partial, **settings)
        discard_scratch(partial)
        return {}
    snapshots, losses = finetuned_scores(
        loaded,
        corpus,
        directory.scores,
        finetune=finetune,
        seeds=study.scoring.snapshot_seeds,
        k_percents=DOSES_COMPARED,
        settings=settings,
    )
    return {"snapshots": snapshots, "losses": losses}


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


def further_passes(study: Study) -> int:
    """Passes over one draw's text by the estimator's other reductions that the study's analyses compare."""
    compared = any(ANALYSES.traits(name).reductions for name in study.analyses)
    return len(_traits(study).reductions) - 1 if compared and draw_count(study) > 1 and _traits(study).reductions else 0


def _traits(study: Study) -> EstimatorTraits:
    return estimator_traits(study.scoring.estimator, study.scoring.parameters)
