"""A study's spots and their controls: selected from scores or trained, each saved as soon as it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from codingspot.ablation import CONTROLS, Controlled
from codingspot.analysis_tables import LEARNING, UNIT_DRAWS, UNITS, write_table
from codingspot.corpus import Corpus, PackedTokens
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel
from codingspot.spot import Spot, TrainingInput, find_spot, measure_spot, recipe_parameters, train_spot, training_text
from codingspot.study.cells import control_name
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.planning import control_draws, drawn_to
from codingspot.study.saved_spots import SavedSpots
from codingspot.study.spot_section import SpotSection


def study_spots(finder: SpotFinder, directory: RunDirectory) -> SavedSpots:
    """Every spot and control of the study by name, made or read."""
    spots = SavedSpots(directory)
    for section in finder.study.spots:
        if not spots.resume(section.name):
            found = finder.find(section, spots)
            for stem, table in found.tables.items():
                write_table(directory.analysis, f"{stem}{section.name}", table.assign(spot=section.name))
            spots.add(section.name, found.spot)
        given = partial(finder.given, section, None)
        for control, seed in control_draws(section):
            name = control_name(section.name, control, seed)
            if spots.resume(name):
                continue
            spot = spots[section.name]
            spot = spot.prefix(spot.count(drawn_to(section, seed)))
            controlled = Controlled(spot, finder.store, finder.loaded, given, apart=not section.tested)
            parameters = {} if seed is None else {"seed": seed}
            spots.add(name, CONTROLS.bind(control, parameters)(controlled))
    return spots


@dataclass(frozen=True)
class Found:
    """A spot, and by file stem what its recipe tells of how it was found: a training's curve, a reading's units."""

    spot: Spot
    tables: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class SpotFinder:
    """Finds the study's spots, whatever their recipes need; ``stage`` hears what the model is run for."""

    study: Study
    store: ScoreStore
    loaded: LoadedModel
    corpus: Corpus
    stage: Callable[[str], None] = lambda _text: None

    def find(self, section: SpotSection, before: Mapping[str, Spot], also: Spot | None = None) -> Found:
        """A spot by its recipe, without the weights of those ``before`` that it leaves out, and of one more."""
        taken = [*(before[name].positions for name in section.without), *([] if also is None else [also.positions])]
        without = torch.unique(torch.cat(taken)) if taken else None
        if section.traits.from_scores:
            spot = find_spot(
                self.store,
                recipe=section.recipe,
                scope=section.scope,
                max_k_percent=section.k_percent[-1],
                without=without,
                **section.parameters,
            )
            return Found(spot, {})
        given, own = self.given(section, without), recipe_parameters(section.parameters)
        if section.training is None:
            read = measure_spot(given, recipe=section.recipe, **own)
            tables = {UNITS: read.units, UNIT_DRAWS: read.drawn}
            return Found(read.spot, {stem: table for stem, table in tables.items() if table is not None})
        trained = train_spot(given, recipe=section.recipe, **own)
        return Found(trained.spot, {LEARNING: trained.curve})

    def spot(self, before: Mapping[str, Spot], section: SpotSection, also: Spot | None = None) -> Spot:
        """What the recipe of a spot finds, without ``also`` besides what the spot leaves out."""
        return self.find(section, before, also).spot

    def given(self, section: SpotSection, without: Tensor | None) -> TrainingInput:
        """What a recipe that runs the model is given for a spot."""
        code, general = self._text
        texts, named = {**code, **general}, section.parameters.get("languages") or code
        code = {name: texts[name] for name in named}
        general = {name: tokens for name, tokens in general.items() if name not in code}
        largest = section.k_percent[-1]
        return TrainingInput(
            self.loaded,
            self.store,
            code,
            general,
            section.scope,
            largest,
            without=without,
            draws=self.study.scoring.draws,
            measured=self._measured,
            stage=self.stage,
        )

    @cached_property
    def _text(self) -> tuple[dict[str, PackedTokens], dict[str, PackedTokens]]:
        scoring = self.study.scoring
        return training_text(
            self.corpus,
            self.loaded,
            sequence_length=scoring.sequence_length,
            token_budget=scoring.token_budget,
            seed=scoring.seed,
        )

    @cached_property
    def _measured(self) -> dict[Any, Any]:
        """What was read on the text, for all spots and controls."""
        return {}
