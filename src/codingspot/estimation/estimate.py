"""What a study will take: parameters, memory, disk, tokens, cells and floating-point operations, without weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from codingspot.errors import ModelError
from codingspot.estimation.domains import known_domains
from codingspot.estimation.evaluating import Tokens, evaluation_peaks, evaluation_tokens
from codingspot.estimation.footprint import DatalessModel, Footprint
from codingspot.estimation.peaks import (
    MemoryPeak,
    finetuning_peaks,
    learning_peak,
    reading_peak,
    scoring_peak,
    selection_peak,
)
from codingspot.estimation.ways import ScoredText, Way, ways_to_score
from codingspot.importance import estimator_traits, micro_batch, resolve
from codingspot.importance.draws import SAMPLE
from codingspot.importance.finetune import optimizer_bytes
from codingspot.models import MAX_LOGITS, ParameterLayout, scope_sizes, torch_dtype
from codingspot.models.section import ModelSection
from codingspot.spot.selection import count_for
from codingspot.study.checking import check_room
from codingspot.study.config import Study
from codingspot.study.keeping import folds, wants_scores
from codingspot.study.planning import control_draws, drawn_to, plan_cells
from codingspot.study.scoring import draw_count, further_passes
from codingspot.study.spot_section import SpotSection
from codingspot.units.attention import sequences_at_once

_SPOT_BYTES = 12  # a position and a key


@dataclass(frozen=True)
class Estimate:
    """What a study will take.

    Attributes:
        model: its id or folder.
        device: ``cpu`` or ``cuda``, where it will run; with so many bytes of ``memory``, None where that isn't known.
        dtype: of its weights.
        footprint: of the model and one micro-batch of scoring.
        domains: how many are scored.
        tokens: scored, in all domains together.
        cells: edited models that are evaluated, the original among them.
        peaks: the largest memory of each stage.
        disk: bytes by what they hold: ``scores``, ``draws`` (at a sample of the parameters, with those by other
            reductions), ``spots``.
        flops: floating-point operations by stage; those of tasks depend on their texts and aren't counted.
        evaluation: tokens read and generated over all cells, at most: of held-out losses, and of each task; None of a
            task whose items are on the Hub.
        selected_from: scores that are read to select the spots.
        ways: of scoring, for `codingspot score`; none where the study's estimator or fine-tuning needs the whole model.
    """

    model: str
    device: str
    memory: int | None
    dtype: str
    footprint: Footprint
    domains: int
    tokens: int
    cells: int
    peaks: tuple[MemoryPeak, ...]
    disk: Mapping[str, int]
    flops: Mapping[str, float]
    evaluation: Mapping[str, Tokens | None]
    selected_from: int
    ways: tuple[Way, ...]

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        return {
            "model": self.model,
            "device": self.device,
            "device_memory": self.memory,
            "dtype": self.dtype,
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
            "ways_to_score": [asdict(way) for way in self.ways],
            "evaluation_tokens": {name: found and asdict(found) for name, found in self.evaluation.items()},
        }


def estimate(study: Study, memory: int | None = None) -> Estimate:
    """What ``study`` will take, from the configuration of its model and what its corpus and tasks say of themselves.

    ``memory`` is how many bytes a device has, by default this machine's, to say which ways of scoring fit.

    Raises:
        ModelError: the model isn't found, or can't be run without data.
        StudyError: a recipe's settings are wrong, or a spot has more parameters than its scope.
        CorpusError, ArtefactError: as :func:`codingspot.estimation.domains.known_domains`.
        EvaluationError: the local items of a task can't be read.
    """
    return _Needs(study, device_memory(study.model) if memory is None else memory).estimate()


def device_kind(section: ModelSection) -> str:
    """Where a model will run: ``cpu``, or ``cuda`` for any other device.

    Raises:
        ModelError: there is no such device.
    """
    named = section.device or ("cuda" if section.device_map or torch.cuda.is_available() else "cpu")
    try:
        return "cpu" if torch.device(named).type == "cpu" else "cuda"
    except RuntimeError:
        raise ModelError(f"unknown device {named!r}; use cpu, or cuda for a GPU") from None


def device_memory(section: ModelSection) -> int | None:
    """Bytes of memory where a model will run, None where that is another machine."""
    if device_kind(section) == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


class _Needs:
    """A study's sizes."""

    def __init__(self, study: Study, memory: int | None) -> None:
        self.study, self.memory = study, memory
        section = study.model
        self.device = device_kind(section)
        self.run = DatalessModel(
            section.id,
            dtype=section.dtype,
            revision=section.revision,
            attention=section.attention,
            trust_remote_code=section.trust_remote_code,
        )
        self.layout = ParameterLayout.of(self.run.model)
        check_room(study, scope_sizes(self.layout))
        self.corpus, self.own_texts = known_domains(study.corpus)
        self.domains = len(self.corpus.scored)
        self.languages = sum(domain.kind == "code" for domain in self.corpus.scored)
        at_once = micro_batch(study.scoring.micro_batch_tokens, self.layout.total, self.device)
        self.sequences = max(1, at_once // study.scoring.sequence_length)
        self.scored = wants_scores(study)
        folded = self.scored and folds(study, self.layout.total)
        # What a selection reads at once, and the disk holds: the languages, or their sum, and general text.
        self.kept_languages = min(1, self.languages) if folded else self.languages
        self.kept = self.kept_languages + self.domains - self.languages if self.scored else 0

    def estimate(self) -> Estimate:
        study, model = self.study, self.passes(self.sequences)
        cells = plan_cells(study, model.parameters)
        documents = study.corpus.evaluation_documents if self.own_texts else None
        return Estimate(
            model=study.model.id,
            device=self.device,
            memory=self.memory,
            dtype=str(self.run.model.dtype).removeprefix("torch."),
            footprint=model,
            domains=self.domains,
            tokens=self.domains * study.scoring.token_budget if self.scored else 0,
            cells=len(cells),
            peaks=tuple(self.peaks(model)),
            disk=self.disk(model),
            flops=self.flops(model),
            evaluation=evaluation_tokens(study.evaluation, cells, self.corpus, documents),
            selected_from=model.parameters * sum(map(self._read_by, study.spots)),
            ways=self.ways(model),
        )

    def ways(self, model: Footprint) -> tuple[Way, ...]:
        scoring = self.study.scoring
        in_shards = estimator_traits(*resolve(scoring.estimator, scoring.parameters)).in_shards
        if not self.scored or not in_shards or scoring.finetune is not None:
            return ()
        text = ScoredText(
            self.domains, scoring.token_budget, self.sequences, scoring.sequence_length, MAX_LOGITS[self.device]
        )
        return ways_to_score(self.run, model, text, memory=self.memory, on_cpu=self.device == "cpu")

    def passes(self, sequences: int) -> Footprint:
        """The footprint of a pass over so many of the study's sequences."""
        return self.run.footprint(sequences, self.study.scoring.sequence_length, MAX_LOGITS[self.device])

    def peaks(self, model: Footprint) -> Iterator[MemoryPeak]:
        if self.scored:
            yield scoring_peak(model)
        finetune = self.study.scoring.finetune
        if finetune is not None and self.scored:
            state = optimizer_bytes(self.layout, finetune.optimizer)
            yield from finetuning_peaks(model, self.passes(finetune.sequences_per_step), finetune, state)
        trained = [section.training for section in self.study.spots if section.training is not None]
        if trained:
            sequences = max(cost.sequences for cost in trained)
            shortlisted = count_for(max(cost.shortlist_percent for cost in trained), model.parameters)
            yield learning_peak(model, self.passes(sequences), shortlisted)
        if any(map(_reads, self.study.spots)):
            yield reading_peak(model, self._with_probabilities())
        if selected := [section for section in self.study.spots if self._read_by(section)]:
            yield max((self._selection(section, model) for section in selected), key=lambda peak: peak.total)
        yield from evaluation_peaks(self.run, model.weight_bytes, self.study.evaluation, self.device)

    def _with_probabilities(self) -> int:
        """Bytes of the largest pass that holds attention probabilities for scores of units, beside the weights."""
        length, most = self.study.scoring.sequence_length, MAX_LOGITS[self.device]
        readings = [section.traits.reading for section in self.study.spots]
        taken = [0]
        for backward in {reading.backward for reading in readings if reading is not None and reading.attention}:
            rows = min(self.sequences, sequences_at_once(self.run.model, length, backward=backward))
            taken.append(self.run.eager_pass_bytes(rows, length, most, backward=backward))
        return max(taken)

    def _selection(self, section: SpotSection, model: Footprint) -> MemoryPeak:
        selected = count_for(section.selected[-1], model.parameters)
        recipe = section.traits
        return selection_peak(selected, self._read_by(section), model.largest_tensor, ranked=recipe.ranks)

    def _read_by(self, section: SpotSection) -> int:
        """Domains of which a spot is selected from the scores."""
        traits = section.traits
        if not traits.scored:
            return 0
        return self.kept if traits.contrast else self.kept_languages

    def disk(self, model: Footprint) -> dict[str, int]:
        scores = torch_dtype(self.study.scoring.keep_dtype).itemsize * model.parameters * self.kept
        draws = draw_count(self.study) + further_passes(self.study) if self.scored else 0
        sampled = 4 * min(model.parameters, SAMPLE) * self.domains * draws
        saved = sum(count_for(k, model.parameters) for section in self.study.spots for k in _saved_doses(section))
        return {"scores": scores, "draws": sampled, "spots": _SPOT_BYTES * saved}

    def flops(self, model: Footprint) -> dict[str, float]:
        scoring = self.study.scoring
        extra = further_passes(self.study) / scoring.draws
        tokens = {"scoring": self.domains * scoring.token_budget * (1 + extra)} if self.scored else {}
        if scoring.finetune is not None and self.scored:
            tuning = scoring.finetune
            stepped = tuning.steps * tuning.sequences_per_step * scoring.sequence_length
            snapshots = len(tuning.snapshots) * scoring.token_budget
            tokens["fine-tuning"] = self.domains * (1 + len(scoring.snapshot_seeds)) * (stepped + snapshots)
        trained = [section.training for section in self.study.spots if section.training is not None]
        if trained:
            tokens["learned masks"] = sum(2 * cost.steps * cost.sequences * scoring.sequence_length for cost in trained)
        if any(map(_reads, self.study.spots)):
            tokens["unit scores"] = self.domains * sum(self._unit_passes())
        return {stage: model.flops_per_token * read for stage, read in tokens.items()}

    def _unit_passes(self) -> Iterator[float]:
        """Tokens of each domain that spots of units read, as so many of a pass forward and backward."""
        shared = set()  # several spots have what the first of their rounds reads in common
        for section in filter(_reads, self.study.spots):
            reading = section.traits.reading
            assert reading is not None
            budget = self.study.scoring.token_budget
            budget = budget if reading.tokens is None else min(reading.tokens, budget)
            what = (budget, reading.backward, reading.attention)
            rounds = reading.rounds - (what in shared)
            shared.add(what)
            # A pass is forward, backward by activations and backward by weights.
            yield (2 if reading.backward else 1) / 3 * budget * rounds + reading.trial_tokens / 3


def _saved_doses(section: SpotSection) -> Iterator[float]:
    """Percentages of all parameters that a spot and each of its controls are saved with."""
    yield section.k_percent[-1]
    yield from (drawn_to(section, seed) for _, seed in control_draws(section))


def _reads(section: SpotSection) -> bool:
    """Whether a spot is found by reading activations."""
    reading = section.traits.reading
    return reading is not None and (reading.tokens != 0 or reading.trial_tokens > 0)
