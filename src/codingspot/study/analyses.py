"""A study's analyses: tables made from its scores and spots, beside its cells.

Overlap and reliability compare draws of text at a sample of the parameters; the others need the spots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from codingspot.ablation import EDITS, matched_control
from codingspot.analysis_tables import UNIT_DRAWS, read_table, write_table
from codingspot.evaluation.sequential import retention_intervals
from codingspot.importance import ScoreStore, disjoint_draws, merge
from codingspot.models import scope_sizes
from codingspot.spot import (
    Asked,
    Scaled,
    Spot,
    domain_overlap,
    domain_spots,
    general_overlap,
    measure_shares,
    polysemanticity,
    predicted_changes,
    reliability,
    shares_by_domain,
)
from codingspot.study.cells import ORIGINAL, Cell, Plan
from codingspot.study.config import SpotSection, Study
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import questions
from codingspot.study.planning import source
from codingspot.units import unit_reliability

Advance = Callable[[float], None]

OVERLAP_K = (0.01, 0.09, 0.25, 1.0)
"""Percentages of all parameters at which domains' spots are compared."""

_RANDOM_SEEDS = (0, 1, 2)
"""Draws of random parameters that a spot's polysemanticity is set beside."""


def analyse_scores(study: Study, draws: Sequence[ScoreStore], directory: RunDirectory) -> None:
    """Overlap of the domains' spots in every scope of the study, and reliability of its spots.

    ``draws`` are scores of disjoint text: two of the largest budget that they make are the halves, and those of the
    smallest are draws such as other seeds would give. From one draw, nothing is said of reliability.
    """
    budgets = disjoint_draws(draws)
    halves = budgets[max(budgets)][:2] if budgets else ()
    if "overlap" in study.analyses and not _exists(directory, "overlap"):
        _overlap(study, merge(draws), halves, directory)
    if "reliability" in study.analyses and budgets and not _exists(directory, "reliability"):
        splits = {"halves": halves, "draws": budgets[min(budgets)]}
        parts = [
            _reliability(section, stores).assign(spot=section.name, split=split)
            for section in _computed(study)
            for split, stores in splits.items()
        ]
        _write(parts, directory, "reliability")


def analyse_spots(
    study: Study,
    store: ScoreStore,
    spots: Mapping[str, Spot],
    cells: Sequence[Cell],
    directory: RunDirectory,
    advance: Advance,
) -> None:
    """Reliability of whole units, polysemanticity of the spots, and what first order predicts of the cells' losses.

    The last two are each one pass over the scores; ``advance`` hears the share of the work that was done.
    """
    if "reliability" in study.analyses and not _exists(directory, "unit_reliability"):
        _unit_reliability(study, spots, directory)
    several = store.scored and len(store.domains) > 1
    if "polysemanticity" in study.analyses and several and not _exists(directory, "polysemanticity", "shares"):
        _polysemanticity(study, store, spots, directory, lambda share: advance(share / 2))
    if "prediction" in study.analyses and store.traits.first_order and not _exists(directory, "prediction"):
        _prediction(study, store, spots, cells, directory, lambda share: advance(share / 2))


def analyse_sequential(study: Study, plan: Plan, directory: RunDirectory, outcomes: pd.DataFrame) -> None:
    """How many items each cell of a sequential evaluation took, and the interval at which it stopped."""
    if not study.evaluation.sequential:
        return
    chance = {task.name: task.chance for task in plan.tasks}
    alpha = study.evaluation.sequential_alpha
    table = retention_intervals(outcomes, ORIGINAL, questions(study), chance, alpha=alpha)
    write_table(directory.analysis, "sequential", table)


def _overlap(study: Study, store: ScoreStore, halves: Sequence[ScoreStore], directory: RunDirectory) -> None:
    pairs, tensors = [], []
    for scope in dict.fromkeys(section.scope for section in study.spots):
        doses = [k for k in OVERLAP_K if store.layout.total * k / 100 <= _size(store, scope)]
        if not doses:
            continue
        largest = max(doses)
        spots = domain_spots(store, max_k_percent=largest, scope=scope)
        split = [domain_spots(half, max_k_percent=largest, scope=scope) for half in halves]
        pairs.append(domain_overlap(spots, doses, halves=split).assign(scope=scope))
        if store.names("code") and store.names("general"):
            tensors.append(general_overlap(store, doses, scope=scope).assign(scope=scope))
    _write(tensors, directory, "overlap_tensors")
    _write(pairs, directory, "overlap")


def _reliability(section: SpotSection, stores: Sequence[ScoreStore]) -> pd.DataFrame:
    return reliability(
        stores, section.k_percent, recipe=section.recipe, scope=section.scope, parameters=section.parameters
    )


def _unit_reliability(study: Study, spots: Mapping[str, Spot], directory: RunDirectory) -> None:
    parts = [
        unit_reliability(
            spots[section.name], read_table(directory.analysis, f"{UNIT_DRAWS}{section.name}"), section.k_percent
        ).assign(spot=section.name)
        for section in study.spots
        if _exists(directory, f"{UNIT_DRAWS}{section.name}")
    ]
    _write(parts, directory, "unit_reliability")


def _computed(study: Study) -> list[SpotSection]:
    """The spots that a recipe finds in scores alone; others would have to be trained, or read text, again."""
    return [section for section in study.spots if section.traits.from_scores]


def _polysemanticity(
    study: Study, store: ScoreStore, spots: Mapping[str, Spot], directory: RunDirectory, advance: Advance
) -> None:
    asked = [
        Asked(spot, section.k_percent, seed)
        for section in study.spots
        for seed, spot in _with_random(spots[section.name])
    ]
    measured = iter(measure_shares(store, asked, progress=advance))
    entropies, shares = [], []
    for section in study.spots:
        own = [next(measured) for _ in range(1 + len(_RANDOM_SEEDS))]
        entropies.append(polysemanticity(own).assign(spot=section.name))
        shares.append(shares_by_domain(own).assign(spot=section.name))
    _write(entropies, directory, "polysemanticity")
    _write(shares, directory, "shares")


def _with_random(spot: Spot) -> Iterator[tuple[int | None, Spot]]:
    yield None, spot
    for seed in _RANDOM_SEEDS:
        yield seed, matched_control(spot, seed=seed)


def _prediction(
    study: Study,
    store: ScoreStore,
    spots: Mapping[str, Spot],
    cells: Sequence[Cell],
    directory: RunDirectory,
    advance: Advance,
) -> None:
    """One row a cell of the grid and scored domain, for the spots whose edit multiplies weights."""
    factors = {section.name: EDITS.traits(section.edit, section.edit_parameters).factor for section in study.spots}
    by_source: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.spot is not None and cell.purpose == "dose" and factors[cell.spot] is not None:
            by_source.setdefault(source(cell), []).append(cell)
    doses = [{100 * cell.parameters / store.layout.total: cell.name for cell in group} for group in by_source.values()]
    scaled = [
        Scaled(spots[name], tuple(own), factors[str(group[0].spot)] or 0.0)
        for (name, group), own in zip(by_source.items(), doses, strict=True)
    ]
    parts = [
        table.assign(cell=table["k_percent"].map(own)).drop(columns="k_percent")
        for table, own in zip(predicted_changes(store, scaled, progress=advance), doses, strict=True)
    ]
    _write(parts, directory, "prediction")


def _size(store: ScoreStore, scope: str) -> int:
    return scope_sizes(store.layout)[scope]


def _exists(directory: RunDirectory, *stems: str) -> bool:
    return all((directory.analysis / f"{stem}.parquet").exists() for stem in stems)


def _write(parts: Sequence[pd.DataFrame], directory: RunDirectory, stem: str) -> None:
    filled = [part for part in parts if len(part)]
    if filled:
        write_table(directory.analysis, stem, pd.concat(filled, ignore_index=True))
