"""A study's spots and their controls: selected from scores or learned, each saved as soon as it is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from codingspot.ablation import CONTROLS, Controlled
from codingspot.corpus import Corpus, DomainKind, PackedTokens, pack
from codingspot.errors import StudyError
from codingspot.importance import ScoreStore
from codingspot.learning import LearnSettings, learn_mask
from codingspot.models import LoadedModel
from codingspot.spot import Spot, density, find_spot
from codingspot.study.cells import Control
from codingspot.study.config import LEARNED, SpotSection, Study
from codingspot.study.directory import RunDirectory
from codingspot.study.planning import control_draws, control_name
from codingspot.study.tables import write_table

_SHORTLIST = {"shortlist": "set_difference", "shortlist_percent": 5.0}


def study_spots(
    study: Study, store: ScoreStore, loaded: LoadedModel, corpus: Corpus, directory: RunDirectory
) -> dict[str, Spot]:
    """Every spot and control of the study by name, made or read, and the table of their density."""
    spots: dict[str, Spot] = {}
    for section in study.spots:
        spots[section.name] = _saved(directory, section.name) or _find(study, section, store, loaded, corpus, directory)
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
    write_table(pd.concat(tables, ignore_index=True), directory.analysis / "density.parquet")
    return spots


def _saved(directory: RunDirectory, name: str) -> Spot | None:
    path = directory.spot(name)
    return Spot.load(path) if path.exists() else None


def _find(
    study: Study,
    section: SpotSection,
    store: ScoreStore,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
) -> Spot:
    if section.recipe == LEARNED:
        spot = _learn(study, section, store, loaded, corpus, directory)
    else:
        spot = find_spot(
            store,
            recipe=section.recipe,
            scope=section.scope,
            max_k_percent=section.k_percent[-1],
            **section.parameters,
        )
    spot.save(directory.spot(section.name))
    return spot


def _control(controlled: Controlled, control: Control, seed: int | None) -> Spot:
    parameters = {} if seed is None else {"seed": seed}
    drawn: Spot = CONTROLS.bind(control, parameters)(controlled)
    return drawn


def _learn(
    study: Study,
    section: SpotSection,
    store: ScoreStore,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
) -> Spot:
    """A learned mask over a shortlist found in the scores; its loss curve is kept with the analyses."""
    wanted = {**_SHORTLIST, **section.parameters}
    shortlist = find_spot(
        store,
        recipe=str(wanted.pop("shortlist")),
        scope=section.scope,
        max_k_percent=float(str(wanted.pop("shortlist_percent"))),
    )
    learned = learn_mask(
        loaded,
        _packed(study, loaded, corpus, "code"),
        _packed(study, loaded, corpus, "general"),
        shortlist,
        _settings(section, wanted),
    )
    write_table(learned.curve.assign(spot=section.name), directory.analysis / f"learning-{section.name}.parquet")
    return learned.spot


def _settings(section: SpotSection, parameters: Mapping[str, Any]) -> LearnSettings:
    largest = section.k_percent[-1]
    doses = tuple(k for k in LearnSettings.doses if k < largest)
    try:
        return TypeAdapter(LearnSettings).validate_python({"doses": (*doses, largest), **parameters})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StudyError(f"spot {section.name}: {where}: {first['msg']}") from None


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
