"""Keys of a run's artefacts: one digest of everything that each is made from and that may change in its directory.

The model, the corpus and the settings of scoring may not change there (:mod:`codingspot.study.directory`), and are in
no key. How texts share batches changes results by rounding alone, and is in none either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from codingspot.analysis_registry import ANALYSES, MadeFrom, analyses
from codingspot.analysis_tables import LEARNING, UNIT_DRAWS, UNITS
from codingspot.files import digest
from codingspot.study.cells import Cell, control_name
from codingspot.study.config import Study
from codingspot.study.planning import control_draws, drawn_to
from codingspot.study.spot_section import SpotSection


class StudyKeys:
    """The keys of a study's artefacts, by their paths in the run directory.

    Args:
        study: with its evaluation settled for the model.
        tasks: fingerprint of each of its tasks, by name.
    """

    def __init__(self, study: Study, tasks: Mapping[str, str]) -> None:
        self._study, self._tasks = study, tasks
        self._sections = {section.name: section for section in study.spots}

    def spots(self) -> dict[str, str]:
        """Of the spots, their controls, and the tables of a learned one's training and of whole units."""
        found = {}
        for section in self._study.spots:
            key = _digest(self._largest(section))
            found[_spot(section.name)] = key
            found |= {_analysis(f"{told}{section.name}"): key for told in (LEARNING, UNITS, UNIT_DRAWS)}
            for control, seed in control_draws(section):
                drawn = [self._selected(section), drawn_to(section, seed)]
                found[_spot(control_name(section.name, control, seed))] = _digest(
                    [drawn, control, seed, *_apart(section)]
                )
        return found

    def analyses(self, cells: Sequence[Cell]) -> dict[str, str]:
        """Of the tables made from spots, cells and results."""
        spots = [self._largest(section) for section in self._study.spots]
        doses = [[section.name, section.k_percent] for section in self._study.spots]
        made = MadeFrom(self._study, False, spots, doses, [self._edit(cell) for cell in cells], self._tasks)
        keys = {"asked": _digest([self._study.evaluation.model_dump(mode="json"), self._tasks])}
        for name in analyses():
            traits = ANALYSES.traits(name)
            key = _digest(traits.key(replace(made, asked=name in self._study.analyses)))
            keys |= dict.fromkeys(traits.schemas, key)
        return {
            **{_analysis(stem): key for stem, key in keys.items()},
            "analysis/across.json": _digest([spots, doses]),
        }

    def cells(self, cells: Sequence[Cell]) -> dict[str, str]:
        """Of the cells, and of their losses."""
        found = {}
        for cell in cells:
            losses = [self._edit(cell), self._perplexity()]
            found[f"losses/{cell.name}.parquet"] = _digest(losses)
            found[f"cells/{cell.name}"] = _digest([losses, self._asked(cell)])
        return found

    def further_cells(self, cells: Sequence[Cell], made_from: Any, tasks: Mapping[str, str]) -> dict[str, str]:
        """Of the cells of an analysis, evaluated on tasks of its own."""
        parts = [made_from, tasks, self._perplexity()]
        keys = {cell.name: _digest([parts, cell.model_dump(mode="json")]) for cell in cells}
        return {path: key for name, key in keys.items() for path in (f"cells/{name}", f"losses/{name}.parquet")}

    def _selected(self, section: SpotSection) -> list[Any]:
        """What a spot's order is made from: a smaller k takes a prefix of it."""
        without = [self._largest(self._sections[name]) for name in section.without]
        found = [section.recipe, dict(section.parameters), section.scope, without]
        return found if section.training is None and section.traits.nested else [*found, section.k_percent[-1]]

    def _largest(self, section: SpotSection) -> list[Any]:
        return [self._selected(section), section.k_percent[-1]]

    def _edit(self, cell: Cell) -> list[Any]:
        if cell.spot is None:
            return []
        section = self._sections[cell.spot]
        selected = self._selected(section)
        if cell.control is not None:  # drawn outside as much of the spot as it is drawn for, or for a test
            selected = [selected, drawn_to(section, cell.seed), *_apart(section)]
        settings: Any = dict(section.edit_parameters)
        if cell.purpose == "sufficiency" and section.sufficiency is not None:
            settings = [section.sufficiency.base, section.sufficiency.largest_percent]
        return [cell.source, selected, cell.control, cell.seed, cell.edit, settings, cell.k_percent]

    def _perplexity(self) -> list[Any]:
        section = self._study.evaluation
        return [section.perplexity_tokens, section.perplexity_window]

    def _asked(self, cell: Cell) -> list[Any] | None:
        section = self._study.evaluation
        if not section.asks_at(cell):
            return None
        specs = [[role, {**asdict(spec), "data": None}, self._tasks[spec.name]] for role, spec in section.tasks()]
        asked: list[Any] = [specs, section.sandbox_seconds]
        if cell.spot is not None:
            where = None if section.tasks_where is None else section.tasks_where.perplexity_ratio
            asked += [section.sequential, section.sequential_alpha, section.dead_items, where]
        return asked


def _apart(section: SpotSection) -> list[str]:
    """How controls are drawn, where that isn't apart from the spot."""
    return ["tested"] if section.tested else []


def _spot(name: str) -> str:
    return f"spots/{name}.safetensors"


def _analysis(stem: str) -> str:
    return f"analysis/{stem}.parquet"


def _digest(parts: Any) -> str:
    return digest(json.dumps(parts, sort_keys=True, default=str))
