"""A study's spots and their controls: selected from scores or learned, each saved as soon as it is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from codingspot.ablation import CONTROLS, Controlled
from codingspot.analysis_tables import LEARNING, write_table
from codingspot.corpus import Corpus, DomainKind, PackedTokens, pack
from codingspot.importance import ScoreStore
from codingspot.learning import learn_mask
from codingspot.models import LoadedModel
from codingspot.spot import Spot, density, find_spot
from codingspot.study.cells import Control
from codingspot.study.config import SpotSection, Study
from codingspot.study.directory import RunDirectory
from codingspot.study.learned import LearnedRecipe
from codingspot.study.planning import control_draws, control_name


def study_spots(
    study: Study, store: ScoreStore, loaded: LoadedModel, corpus: Corpus, directory: RunDirectory
) -> dict[str, Spot]:
    """Every spot and control of the study by name, made or read, and the table of their density."""
    spots: dict[str, Spot] = {}
    finder = _Finder(study, store, loaded, corpus, directory)
    for section in study.spots:
        spots[section.name] = _saved(directory, section.name) or finder.find(section, spots)
        for control, seed in control_draws(section):
            name = control_name(section.name, control, seed)
            spots[name] = _saved(directory, name) or _control(
                Controlled(spots[section.name], store, loaded), control, seed
            )
            if not directory.spot(name).exists():
                spots[name].save(directory.spot(name))
    tables = [
        density(spots[section.name].top(k)).assign(spot=section.name, k_percent=k)
        for section in study.spots
        for k in section.k_percent
    ]
    write_table(directory.analysis, "density", pd.concat(tables, ignore_index=True))
    return spots


def _saved(directory: RunDirectory, name: str) -> Spot | None:
    path = directory.spot(name)
    return Spot.load(path) if path.exists() else None


def _control(controlled: Controlled, control: Control, seed: int | None) -> Spot:
    parameters = {} if seed is None else {"seed": seed}
    drawn: Spot = CONTROLS.bind(control, parameters)(controlled)
    return drawn


@dataclass(frozen=True)
class _Finder:
    """Finds the study's spots, and saves each."""

    study: Study
    store: ScoreStore
    loaded: LoadedModel
    corpus: Corpus
    directory: RunDirectory

    def find(self, section: SpotSection, before: Mapping[str, Spot]) -> Spot:
        """A spot by its recipe, without the weights of those ``before`` that it names."""
        taken = [before[name].positions for name in section.without]
        without = torch.unique(torch.cat(taken)) if taken else None
        if section.learned is None:
            spot = self._select(section.recipe, section, section.k_percent[-1], without, section.parameters)
        else:
            spot = self._learn(section.learned, section, without)
        spot.save(self.directory.spot(section.name))
        return spot

    def _select(
        self,
        recipe: str,
        section: SpotSection,
        percent: float,
        without: Tensor | None,
        parameters: Mapping[str, Any],
    ) -> Spot:
        return find_spot(
            self.store, recipe=recipe, scope=section.scope, max_k_percent=percent, without=without, **parameters
        )

    def _learn(self, recipe: LearnedRecipe, section: SpotSection, without: Tensor | None) -> Spot:
        """A learned mask over a shortlist found in the scores; its loss curve is kept with the analyses."""
        shortlist = self._select(recipe.shortlist, section, recipe.shortlist_percent, without, {})
        code, general = (_packed(self.study, self.loaded, self.corpus, kind) for kind in ("code", "general"))
        learned = learn_mask(self.loaded, code, general, shortlist, recipe.settings)
        curve = learned.curve.assign(spot=section.name)
        write_table(self.directory.analysis, f"{LEARNING}{section.name}", curve)
        return learned.spot


def _packed(study: Study, loaded: LoadedModel, corpus: Corpus, kind: DomainKind) -> dict[str, PackedTokens]:
    """The scored domains of one kind; general ones get as much text in all as code does."""
    domains = [domain for domain in corpus.scored if domain.kind == kind]
    others = len(corpus.scored) - len(domains)
    times = max(1, others // max(1, len(domains))) if kind == "general" else 1
    return {
        domain.name: pack(
            domain,
            loaded.tokenizer,
            sequence_length=study.scoring.sequence_length,
            token_budget=study.scoring.token_budget * times,
            seed=study.scoring.seed,
        )
        for domain in domains
    }
