"""Expanding a study into its cells, in the order in which they are evaluated.

Within one spot or control the doses increase, so that going from one cell to the next edits only what is added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count, islice

from codingspot.ablation import CONTROLS, is_random
from codingspot.errors import StudyError
from codingspot.spot import Spot
from codingspot.spot.selection import count_for
from codingspot.study.cells import ORIGINAL, Cell, Control, control_name
from codingspot.study.config import Study
from codingspot.study.spot_section import SpotSection


def control_draws(section: SpotSection) -> Iterator[tuple[Control, int | None]]:
    """Each control of a spot with each of its seeds, or None for one that draws nothing; then its further draws."""
    for control in section.controls:
        for seed in section.control_seeds if is_random(control) else (None,):
            yield control, seed
        for seed in _further_seeds(section, control):
            yield control, seed


def drawn_to(section: SpotSection, seed: int | None) -> float:
    """The dose to which a spot's control is drawn: the largest, or of a further draw the dose judged."""
    if section.judged is not None and _is_further(section, seed):
        return section.judged.k_percent
    return section.k_percent[-1]


def _is_further(section: SpotSection, seed: int | None) -> bool:
    return seed is not None and seed not in section.control_seeds


def _further_seeds(section: SpotSection, control: Control) -> Iterator[int]:
    """Seeds of the draws of a matched control at the dose judged that are beyond those of the other doses."""
    if section.judged is not None and is_random(control) and CONTROLS.traits(control).matches_tensors:
        unused = (seed for seed in count() if seed not in section.control_seeds)
        yield from islice(unused, max(0, section.judged.draws - len(section.control_seeds)))


def plan_cells(study: Study, parameters: int) -> tuple[Cell, ...]:
    """Every cell of ``study`` for a model of ``parameters`` parameters, the original model first.

    Raises:
        StudyError: two cells, or two spots and controls, would have one name.
    """
    cells = [Cell(name=ORIGINAL)]
    for section in study.spots:
        cells.extend(_doses(study, section, parameters, None, None))
        for control, seed in control_draws(section):
            cells.extend(_doses(study, section, parameters, control, seed))
        cells.extend(_sufficiency(study, section, parameters))
    _require_distinct("cells", [cell.name for cell in cells])
    _require_distinct("spots or controls", [name for section in study.spots for name in _stems(section)])
    return tuple(cells)


def _stems(section: SpotSection) -> list[str]:
    return [section.name, *(control_name(section.name, *drawn) for drawn in control_draws(section))]


def _require_distinct(what: str, names: list[str]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise StudyError(f"two {what} of the study would be called {repeated[0]!r}; rename a spot or change a dose")


def refined_cell(study: Study, section: SpotSection, parameters: int, k: float) -> Cell:
    """The cell of a spot at a dose that isn't on the study's grid."""
    cell = _cell(study, section, parameters, None, None, k)
    return cell.model_copy(update={"purpose": "refinement"})


def with_own_sizes(cells: tuple[Cell, ...], spots: Mapping[str, Spot]) -> tuple[Cell, ...]:
    """The cells with the numbers of parameters that their spots give: whole units, or a control's own number."""
    return tuple(cell if cell.spot is None else _with_own_size(cell, spots) for cell in cells)


def _with_own_size(cell: Cell, spots: Mapping[str, Spot]) -> Cell:
    edited = spots[cell.source]
    if cell.control is None or not CONTROLS.traits(cell.control).own_size:
        # A control has as many as the spot whose dose it is beside.
        edited = edited.prefix(len(spots[str(cell.spot)].prefix(cell.parameters)))
    whole = None if edited.units is None else len(edited.units)
    return cell.model_copy(update={"parameters": len(edited), "units": whole})


def _doses(
    study: Study, section: SpotSection, parameters: int, control: Control | None, seed: int | None
) -> Iterator[Cell]:
    # A control of its own size is one cell, shown at the smallest dose.
    doses = section.k_percent[:1] if control and CONTROLS.traits(control).own_size else section.k_percent
    further = _is_further(section, seed)
    if further:
        doses = (drawn_to(section, seed),)
    for k in doses:
        cell = _cell(study, section, parameters, control, seed, k)
        yield cell.model_copy(update={"purpose": "draw"}) if further else cell


def _sufficiency(study: Study, section: SpotSection, parameters: int) -> Iterator[Cell]:
    """The base set alone, with the spot, and with the first draw of each control in the spot's place."""
    if section.sufficiency is None:
        return
    kept = {"edit": "keep_only", "purpose": "sufficiency"}
    base = _cell(study, section, parameters, None, None, section.sufficiency.k_percent[0])
    yield base.model_copy(update={**kept, "name": f"{section.name}-keep-base", "k_percent": 0.0, "parameters": 0})
    first_draws: dict[Control, int | None] = {}
    for name, drawn in control_draws(section):
        if not CONTROLS.traits(name).own_size:
            first_draws.setdefault(name, drawn)
    replaced: list[tuple[Control | None, int | None]] = [(None, None), *first_draws.items()]
    for control, seed in replaced:
        for k in section.sufficiency.k_percent:
            cell = _cell(study, section, parameters, control, seed, k)
            stem = section.name if control is None else control_name(section.name, control, seed)
            yield cell.model_copy(update={**kept, "name": f"{stem}-keep-k{k:g}"})


def _cell(
    study: Study, section: SpotSection, parameters: int, control: Control | None, seed: int | None, k: float
) -> Cell:
    base = section.name if control is None else control_name(section.name, control, seed)
    return Cell(
        name=f"{base}-k{k:g}",
        spot=section.name,
        recipe=section.recipe,
        scope=section.scope,
        estimator=study.scoring.estimator,
        without=section.without,
        control=control,
        edit=section.edit,
        k_percent=k,
        parameters=count_for(k, parameters),
        seed=seed,
    )
