"""What a study will take: parameters, memory, disk, tokens, cells and floating-point operations, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codingspot.corpus.languages import STUDIED
from codingspot.corpus.schemas import ENGLISH
from codingspot.corpus.worlds import WORLDS
from codingspot.estimation.footprint import Footprint, measure_footprint
from codingspot.estimation.peaks import MemoryPeak, finetuning_peaks, learning_peak, scoring_peak, selection_peak
from codingspot.importance.draws import SAMPLE
from codingspot.importance.finetune import optimizer_bytes
from codingspot.models import ParameterLayout, configured_model, scope_sizes
from codingspot.spot.selection import count_for
from codingspot.study.checking import check_room
from codingspot.study.config import SpotSection, Study
from codingspot.study.planning import control_draws, plan_cells

_SPOT_BYTES = 12  # a position and a key


@dataclass(frozen=True)
class Estimate:
    """What a study will take.

    Attributes:
        model: its id or folder.
        footprint: of the model and one micro-batch of scoring.
        domains: how many are scored.
        tokens: scored, in all domains together.
        cells: edited models that are evaluated, the original among them.
        peaks: the largest memory of each stage.
        disk: bytes by what they hold: ``scores``, ``draws`` (at a sample of the parameters), ``spots``.
        flops: floating-point operations by stage; those of evaluation depend on the tasks' texts and aren't counted.
    """

    model: str
    footprint: Footprint
    domains: int
    tokens: int
    cells: int
    peaks: tuple[MemoryPeak, ...]
    disk: Mapping[str, int]
    flops: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        return {
            "model": self.model,
            "parameters": self.footprint.parameters,
            "weight_bytes": self.footprint.weight_bytes,
            "domains": self.domains,
            "tokens": self.tokens,
            "cells": self.cells,
            "memory": [
                {"stage": peak.stage, "place": peak.place, "total": peak.total, "parts": dict(peak.parts)}
                for peak in self.peaks
            ],
            "disk": dict(self.disk),
            "flops": dict(self.flops),
        }


def estimate(study: Study) -> Estimate:
    """What ``study`` will take, from the configuration of its model alone.

    Raises:
        ModelError: the model isn't found, or can't be run without data.
        StudyError: a recipe's settings are wrong, or a spot has more parameters than its scope.
    """
    needs = _Needs(study)
    check_room(study, scope_sizes(needs.layout))
    model = needs.passes(max(1, study.scoring.micro_batch_tokens // study.scoring.sequence_length))
    return Estimate(
        model=study.model.id,
        footprint=model,
        domains=needs.domains,
        tokens=needs.tokens,
        cells=len(plan_cells(study, model.parameters)) if study.spots else 1,
        peaks=tuple(needs.peaks(model)),
        disk=needs.disk(model),
        flops=needs.flops(model),
    )


class _Needs:
    """A study's sizes."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._layout: ParameterLayout | None = None
        corpus = study.corpus
        source = corpus.source
        own = WORLDS.traits(source).held_out if isinstance(source, str) and source in WORLDS else ()
        general = set(corpus.general or (ENGLISH,))
        languages = set(STUDIED if corpus.languages is None else corpus.languages) - general
        held_out = set(own if corpus.held_out is None else corpus.held_out)
        self.domains = len((languages | general) - held_out)
        self.languages = len(languages - held_out)
        self.tokens = self.domains * study.scoring.token_budget

    @property
    def layout(self) -> ParameterLayout:
        """The model's parameters."""
        if self._layout is None:
            section = self.study.model
            built = configured_model(section.id, revision=section.revision, trust_remote_code=section.trust_remote_code)
            self._layout = ParameterLayout.of(built)
        return self._layout

    def passes(self, sequences: int) -> Footprint:
        """The footprint of a pass over so many of the study's sequences."""
        section = self.study.model
        return measure_footprint(
            section.id,
            sequences=sequences,
            sequence_length=self.study.scoring.sequence_length,
            dtype=section.dtype,
            revision=section.revision,
            attention=section.attention,
            trust_remote_code=section.trust_remote_code,
        )

    def peaks(self, model: Footprint) -> list[MemoryPeak]:
        found = [scoring_peak(model)]
        finetune = self.study.scoring.finetune
        if finetune is not None:
            state = optimizer_bytes(self.layout, finetune.optimizer)
            found += finetuning_peaks(model, self.passes(finetune.sequences_per_step), finetune, state)
        trained = [section.training for section in self.study.spots if section.training is not None]
        if trained:
            sequences = max(cost.sequences for cost in trained)
            shortlisted = count_for(max(cost.shortlist_percent for cost in trained), model.parameters)
            found.append(learning_peak(model, self.passes(sequences), shortlisted))
        if self.study.spots:
            found.append(max((self._selection(section, model) for section in self.study.spots), key=lambda p: p.total))
        return found

    def _selection(self, section: SpotSection, model: Footprint) -> MemoryPeak:
        selected = count_for(section.selected[-1], model.parameters)
        recipe = section.traits
        domains = self.domains if recipe.contrast else self.languages
        return selection_peak(selected, domains, model.largest_tensor, ranked=recipe.ranks)

    def disk(self, model: Footprint) -> dict[str, int]:
        scores = 4 * model.parameters * self.domains
        sampled = 4 * min(model.parameters, SAMPLE) * self.domains * self.study.scoring.draws
        spots = sum(
            _SPOT_BYTES * count_for(section.k_percent[-1], model.parameters) * (1 + len(list(control_draws(section))))
            for section in self.study.spots
        )
        return {"scores": scores, "draws": sampled, "spots": spots}

    def flops(self, model: Footprint) -> dict[str, float]:
        scoring = self.study.scoring
        # One draw again by the two other reductions.
        extra = 2 / scoring.draws if scoring.draws > 1 and "reductions" in self.study.analyses else 0.0
        found = {"scoring": model.flops_per_token * self.tokens * (1 + extra)}
        if scoring.finetune is not None:
            tuning = scoring.finetune
            stepped = tuning.steps * tuning.sequences_per_step * scoring.sequence_length
            snapshots = len(tuning.snapshots) * scoring.token_budget
            seeds = 1 + len(scoring.snapshot_seeds)
            found["fine-tuning"] = model.flops_per_token * self.domains * seeds * (stepped + snapshots)
        for section in self.study.spots:
            if section.training is not None:
                read = 2 * section.training.steps * section.training.sequences * scoring.sequence_length
                found["learned masks"] = found.get("learned masks", 0.0) + model.flops_per_token * read
            reading = section.traits.reading
            if reading is not None:
                budget = min(reading.tokens or scoring.token_budget, scoring.token_budget)
                share = 2 / 3 if reading.backward else 1 / 3  # of forward, backward by activations and by weights
                read = self.domains * budget
                found["unit scores"] = found.get("unit scores", 0.0) + share * model.flops_per_token * read
        return found
