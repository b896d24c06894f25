"""A study's scores after fine-tuning on each domain, and how importance moved on the way.

1. The model is fine-tuned on each domain in turn and scored at the end; at the snapshots asked for, scores are reduced
   to what the tables need (:mod:`codingspot.spot.evolution`).
2. The same is done with further seeds, whose final scores are not kept.
3. What was recorded is made to tables by an analysis (:mod:`codingspot.analyses.evolution`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from codingspot.corpus import Corpus
from codingspot.importance import FineTune, record_snapshots, score
from codingspot.models import LoadedModel
from codingspot.spot.evolution import SnapshotRecorder


def finetuned_scores(
    loaded: LoadedModel,
    corpus: Corpus,
    folder: Path,
    *,
    finetune: FineTune,
    seeds: Sequence[int],
    k_percents: Sequence[float],
    settings: Mapping[str, Any],
) -> tuple[SnapshotRecorder, dict[int, Mapping[str, Sequence[float]]]]:
    """Score into ``folder`` after fine-tuning on each domain: its snapshots, and every step's loss by seed and domain.

    ``seeds`` are further seeds whose snapshots are recorded; ``k_percents`` the percentages at which snapshots are
    compared; ``settings`` the others of :func:`codingspot.importance.score`.
    """
    recorder = SnapshotRecorder.of(loaded.model, k_percents=k_percents)
    recorder.seed = finetune.seed
    store = score(
        loaded,
        corpus,
        folder,
        finetune=finetune,
        on_snapshot=recorder,
        **settings,
    )
    losses: dict[int, Mapping[str, Sequence[float]]] = {
        finetune.seed: {domain.name: domain.details["finetuning_losses"] for domain in store.domains}
    }
    of_storing = ("normalise", "draws", "folded", "keep_dtype", "progress", "force")
    unstored = {name: value for name, value in settings.items() if name not in of_storing}
    for seed in seeds:
        recorder.seed = seed
        losses[seed] = record_snapshots(loaded, corpus, recorder, finetune=replace(finetune, seed=seed), **unstored)
    return recorder, losses
