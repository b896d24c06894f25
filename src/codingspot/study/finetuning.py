"""A study's scores after fine-tuning on each domain, and how importance moved on the way.

1. The model is fine-tuned on each domain in turn and scored at the end; at the snapshots asked for, scores are reduced
   to what the tables need (:mod:`codingspot.spot.evolution`).
2. The same is done with further seeds, whose final scores are not kept.
3. Tables: the loss of every step, where importance lies at each snapshot, and how far snapshots agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from codingspot.analysis_tables import write_table
from codingspot.corpus import Corpus
from codingspot.importance import FineTune, ScoreStore, record_snapshots, score
from codingspot.models import LoadedModel
from codingspot.spot.evolution import SnapshotRecorder

LOSSES, DISTRIBUTION, EVOLUTION = "finetuning_losses", "importance_distribution", "importance_evolution"
"""File stems of the tables."""


def finetuned_scores(
    loaded: LoadedModel,
    corpus: Corpus,
    folder: Path,
    analysis: Path,
    *,
    finetune: FineTune,
    seeds: Sequence[int],
    k_percents: Sequence[float],
    settings: Mapping[str, Any],
) -> ScoreStore:
    """Score into ``folder`` after fine-tuning on each domain; the tables go to ``analysis``.

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
    losses = {finetune.seed: {domain.name: domain.details["finetuning_losses"] for domain in store.domains}}
    of_storing = ("normalise", "draws", "folded", "progress", "force")
    unstored = {name: value for name, value in settings.items() if name not in of_storing}
    for seed in seeds:
        recorder.seed = seed
        losses[seed] = record_snapshots(loaded, corpus, recorder, finetune=replace(finetune, seed=seed), **unstored)
    write_table(analysis, LOSSES, pd.DataFrame(_loss_rows(losses)))
    if recorder.snapshots:
        write_table(analysis, DISTRIBUTION, recorder.distribution())
        write_table(analysis, EVOLUTION, recorder.evolution())
    return store


def _loss_rows(losses: Mapping[int, Mapping[str, Sequence[float]]]) -> Iterator[dict[str, Any]]:
    for seed, domains in losses.items():
        for domain, curve in domains.items():
            for step, loss in enumerate(curve):
                yield {"seed": seed, "domain": domain, "step": step, "loss": loss}
