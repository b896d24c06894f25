"""Reading a run directory: everything a report is made from, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from codingspot.analysis_registry import ANALYSES, analyses, analysis_schemas
from codingspot.analysis_tables import TABLES, UNITS, read_table
from codingspot.errors import ArtefactError, StudyError
from codingspot.evaluation.items import ITEMS, ITEMS_FILE
from codingspot.evaluation.results import LOSSES_FILE, OUTCOMES_FILE, Results, read_losses
from codingspot.files import read_text
from codingspot.importance.manifest import StoreManifest
from codingspot.records import Count, Plain, Record, first_fault, read_model, read_plain
from codingspot.settings_text import parse_settings
from codingspot.study.cells import ORIGINAL, Asked, Cell, Plan
from codingspot.tables import TableSchema, check_known
from codingspot.views import VIEWS, views

_AGAIN = "run the study again"


class _ModelSection(Record):
    id: str | None = None


class _ScoringSection(Record):
    estimator: str | None = None
    parameters: Plain | None = None
    normalise: str | None = None


class _JudgedSection(Record):
    k_percent: float


class _SpotSection(Record):
    name: str
    parameters: Plain | None = None
    judged: _JudgedSection | None = None


class _EvaluationSection(Record):
    samples: Count | None = None
    temperature: float | None = None


class _StudyFile(Record):
    """What a report reads of a study file, whose methods need not be installed where it is made."""

    description: str | None = None
    model: _ModelSection | None = None
    scoring: _ScoringSection | None = None
    spots: list[_SpotSection] | None = None
    evaluation: _EvaluationSection | None = None


@dataclass(frozen=True)
class Run:
    """A run directory in memory.

    Attributes:
        plan: model, tasks, domains and cells.
        study: the study file as plain data.
        results: outcomes and losses of every cell.
        scores: manifest of the score store; empty where the run has none.
        further: the tables of the analyses that the run has, by file stem.
        views: the tables of each view that it has.
        missing: cells of a run that isn't finished yet; ``plan`` has the others, and those with losses alone are
            :attr:`Asked.PENDING`. Without results of the original model it has no tasks.
        items: what the tasks' items ask; without rows where the run is from before that was kept.
    """

    plan: Plan
    study: Mapping[str, Any]
    results: Results
    scores: Mapping[str, Any]
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)
    missing: tuple[Cell, ...] = ()
    items: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=ITEMS.names))

    @property
    def asked(self) -> dict[str, tuple[Asked, int]]:
        """What cells that weren't asked every item were asked, and how many items of each task, by their names."""
        table = self.further.get("asked")
        if table is None:
            return {}
        columns = (table[name] for name in ("cell", "asked", "items"))
        return {cell: (Asked(asked), int(items)) for cell, asked, items in zip(*columns, strict=True)}

    @property
    def in_full(self) -> pd.DataFrame:
        """The outcomes of the cells that were asked every item, or as many as settled them."""
        outcomes = self.results.outcomes
        return outcomes[~outcomes["cell"].isin(self.asked)] if self.asked else outcomes

    @property
    def density(self) -> pd.DataFrame | None:
        """Where each spot lies, tensor by tensor; None where the run has no such analysis."""
        return self.further.get("density")

    def units(self, spot: str) -> pd.DataFrame | None:
        """The units that a spot of whole units was chosen among, best first; None of another."""
        return self.further.get(f"{UNITS}{spot}")

    @property
    def stopped(self) -> pd.DataFrame | None:
        """At which interval each cell of a sequential evaluation stopped; None of another."""
        return self.further.get("sequential")

    def model_name(self) -> str:
        """The model as the study names it."""
        section = self.study.get("model")
        return str(section["id"]) if isinstance(section, dict) and section.get("id") else self.plan.model.id

    def recipe_parameters(self, spot: str) -> Mapping[str, Any]:
        """What the study gives to a spot's recipe; empty where it leaves everything at its default."""
        return self._of_spot(spot, "parameters")

    def judged(self) -> dict[str, float]:
        """The dose that the study names for the verdict, of each spot for which it does."""
        found = {spot: self._of_spot(spot, "judged").get("k_percent") for spot in self.plan.spots()}
        return {spot: float(k) for spot, k in found.items() if k is not None}

    def _of_spot(self, spot: str, key: str) -> Mapping[str, Any]:
        sections = self.study.get("spots")
        for section in sections if isinstance(sections, list) else ():
            if isinstance(section, dict) and section.get("name") == spot:
                found = section.get(key)
                return found if isinstance(found, dict) else {}
        return {}


def require_directory(directory: Path) -> None:
    """Make sure that there is a folder.

    Raises:
        ArtefactError: there is none.
    """
    if not directory.is_dir():
        raise ArtefactError(f"{directory} is not a run directory; give one made by 'codingspot run'")


def read_run(directory: Path) -> Run:
    """Read a run directory, whose cells are all done or which says which aren't.

    Raises:
        ArtefactError: a file is missing, corrupt or of another kind, or the original model has no results.
    """
    require_directory(directory)
    whole = _plan(directory / "plan.json")
    tables, named = _analyses(directory / "analysis", whole)
    merged = (directory / OUTCOMES_FILE).exists() or (directory / LOSSES_FILE).exists()
    finished = [cell for cell in whole.cells if merged or (directory / "cells" / cell.name).is_dir()]
    measured = [cell for cell in whole.cells if cell not in finished and _losses_file(directory, cell.name).exists()]
    known = [cell for cell in whole.cells if cell in finished or cell in measured]
    if not known or known[0].name != ORIGINAL:
        raise ArtefactError(f"{directory} has no results yet; run its study again, which resumes, to finish it")
    begun = {cell.spot for cell in known if cell.purpose == "dose" and cell.control is None}
    known = [cell for cell in known if cell.spot in begun]
    plan = whole.model_copy(update={"cells": tuple(known)})
    if known[0] in measured:  # without the original's rates nothing can be said of any
        plan = plan.model_copy(update={"tasks": ()})
    further = {stem: _of_plan(table, named.get(stem, ""), plan) for stem, table in tables.items()}
    pending = [cell.name for cell in known if cell in measured and whole.tasks]
    if pending:
        rows = pd.DataFrame({"cell": pending, "asked": str(Asked.PENDING), "items": 0})
        further["asked"] = pd.concat([further["asked"], rows]) if "asked" in further else rows
    asked = further.get("asked", pd.DataFrame({"cell": [], "asked": []}))
    nothing = {cell for cell, what in zip(asked["cell"], asked["asked"], strict=True) if Asked(what).asks_nothing}
    results = _results(directory, plan, nothing, merged, {cell.name for cell in measured})
    return Run(
        plan=plan,
        study=_study(directory / "study.yaml"),
        results=results,
        scores=_scores(directory / "scores" / "manifest.json") or _scores(directory / "scores.json"),
        missing=tuple(cell for cell in whole.cells if cell not in known),
        further=further,
        views=_views(directory / "analysis"),
        items=_items(directory / ITEMS_FILE, plan),
    )


def _names(plan: Plan) -> dict[str, set[str]]:
    return {"spot": set(plan.spots()), "cell": {cell.name for cell in plan.cells}}


def _of_plan(table: pd.DataFrame, column: str, plan: Plan) -> pd.DataFrame:
    """The rows that are of the plan's spots or cells, where ``column`` names them."""
    return table[table[column].isin(_names(plan)[column])] if column else table


def _plan(path: Path) -> Plan:
    plan = read_model(path, Plan, what="a plan", way_out=_AGAIN)
    if not plan.cells or plan.cells[0].name != ORIGINAL:
        raise ArtefactError(f"{path} does not begin with the original model; {_AGAIN}")
    return plan


def _losses_file(directory: Path, cell: str) -> Path:
    """Losses of a cell that were saved before its tasks were asked."""
    return directory / "losses" / f"{cell}.parquet"


def _results(directory: Path, plan: Plan, fewer: set[str], merged: bool, measured: set[str]) -> Results:
    """The results of the plan's cells: those of ``fewer`` lack tasks, those of ``measured`` have losses alone."""
    folders = [directory] if merged else [directory / "cells" / c.name for c in plan.cells if c.name not in measured]
    losses_alone = [_losses_file(directory, cell.name) for cell in plan.cells if cell.name in measured]
    nothing = Results.of_cell("", ())
    results = Results.concat(
        [
            *(Results.read(folder) for folder in folders),
            *(replace(nothing, losses=read_losses(file)) for file in losses_alone),
        ]
    )
    known = set(results.cells())
    missing = [cell.name for cell in plan.cells if cell.name not in known]
    if missing:
        raise ArtefactError(
            f"{directory} has no results for cell {missing[0]!r}; run its study again, which resumes, to finish it"
        )
    names = {
        "cell": {cell.name for cell in plan.cells},
        "task": {task.name for task in plan.tasks},
        "domain": {domain.name for domain in plan.domains},
    }
    outcomes, losses = results.outcomes, results.losses
    there = set(zip(outcomes["cell"], outcomes["task"], strict=True))
    for cell in plan.cells:
        for task in plan.tasks if cell.name not in fewer else ():
            if (cell.name, task.name) not in there:
                raise ArtefactError(f"{directory / OUTCOMES_FILE} has no {task.name} of cell {cell.name!r}; {_AGAIN}")
    read = losses.loc[losses["cell"] == ORIGINAL, "domain"]
    check_known(directory / LOSSES_FILE, losses, "domain", set(read), _AGAIN)
    for file, frame in ((OUTCOMES_FILE, outcomes), (LOSSES_FILE, losses)):
        for column in names.keys() & set(frame.columns):
            check_known(directory / file, frame, column, names[column], _AGAIN)
    return results


def _items(path: Path, plan: Plan) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=ITEMS.names)
    items = ITEMS.read(path)
    return items[items["task"].isin([task.name for task in plan.tasks])]


def _scores(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    what = "the manifest of a score store"
    manifest: Mapping[str, Any] = read_plain(path, StoreManifest, what=what, way_out="score again")
    return manifest


def _study(path: Path) -> Mapping[str, Any]:
    try:
        study = parse_settings(read_text(path), str(path))
        _StudyFile.model_validate(study, strict=True)
    except ValidationError as error:
        raise ArtefactError(f"{path} is not a study file ({first_fault(error)}); put back the run's own") from None
    except StudyError as error:
        raise ArtefactError(f"{error}: put back the one the run was made with") from None
    found: Mapping[str, Any] = study
    return found


def _views(folder: Path) -> dict[str, Mapping[str, pd.DataFrame]]:
    found = ((name, _tables(folder, VIEWS.traits(name).load().schemas)) for name in views())
    return {name: tables for name, tables in found if tables}


def _tables(folder: Path, schemas: Mapping[str, TableSchema]) -> dict[str, pd.DataFrame]:
    """Those of the tables that the folder has."""
    return {stem: read_table(folder, stem, schemas) for stem in schemas if (folder / f"{stem}.parquet").exists()}


def _analyses(folder: Path, plan: Plan) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The tables of the run's analyses, and the columns that name what the plan has, by file stem."""
    units = {f"{UNITS}{spot}": TABLES[UNITS] for spot in plan.spots()}
    tables, traits = _tables(folder, {**TABLES, **units, **analysis_schemas()}), map(ANALYSES.traits, analyses())
    named: dict[str, str] = {"asked": "cell", **{stem: each.names for each in traits for stem in each.schemas}}
    for stem, table in tables.items():
        if named.get(stem):
            check_known(folder / f"{stem}.parquet", table, named[stem], _names(plan)[named[stem]], _AGAIN)
    return tables, named
