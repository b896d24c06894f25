"""Expanding a study into its cells, in the order in which they are evaluated.

Within one spot or control the doses increase, so that going from one cell to the next edits only what is added.
"""

from __future__ import annotations

from collections.abc import Iterator

from codingspot.ablation import is_random
from codingspot.spot.selection import count_for
from codingspot.study.cells import ORIGINAL, Cell, Control
from codingspot.study.config import SpotSection, Study


def control_name(spot: str, control: Control, seed: int | None) -> str:
    """Name of one control of a spot, the stem of its file; ``seed`` is None where nothing is drawn."""
    return f"{spot}-{control}" if seed is None else f"{spot}-{control}-s{seed}"


def control_draws(section: SpotSection) -> Iterator[tuple[Control, int | None]]:
    """Each control of a spot with each of its seeds, or None for one that draws nothing."""
    for control in section.controls:
        for seed in section.control_seeds if is_random(control) else (None,):
            yield control, seed


def plan_cells(study: Study, parameters: int) -> tuple[Cell, ...]:
    """Every cell of ``study`` for a model of ``parameters`` parameters, the original model first."""
    cells = [Cell(name=ORIGINAL)]
    for section in study.spots:
        cells.extend(_doses(study, section, parameters, None, None))
        for control, seed in control_draws(section):
            cells.extend(_doses(study, section, parameters, control, seed))
    return tuple(cells)


def _doses(
    study: Study, section: SpotSection, parameters: int, control: Control | None, seed: int | None
) -> Iterator[Cell]:
    base = section.name if control is None else control_name(section.name, control, seed)
    for k in section.k_percent:
        yield Cell(
            name=f"{base}-k{k:g}",
            spot=section.name,
            recipe=section.recipe,
            scope=section.scope,
            estimator=study.scoring.estimator,
            control=control,
            edit=section.edit,
            k_percent=k,
            parameters=count_for(k, parameters),
            seed=seed,
        )
