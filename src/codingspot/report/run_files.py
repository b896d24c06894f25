"""Reading a run directory: everything a report is made from, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from codingspot.analysis_tables import TABLES, read_table
from codingspot.errors import ArtefactError, StudyError
from codingspot.evaluation.results import LOSSES_FILE, OUTCOMES_FILE, Results
from codingspot.files import read_text
from codingspot.importance.manifest import StoreManifest
from codingspot.records import Count, Plain, Record, first_fault, read_model, read_plain
from codingspot.settings_text import parse_settings
from codingspot.study.cells import ORIGINAL, Plan
from codingspot.tables import check_known
from codingspot.views import VIEWS, views

_BUDGET = "budget"
_OWN = ("density", "agreement")
_NAMED = {
    "spot": ("density", "polysemanticity", "shares", "reliability"),
    "cell": ("prediction", "sequential"),
}
"""Columns that name what the plan has, and the tables that they are in."""
_AGAIN = "run the study again"


class _ModelSection(Record):
    id: str | None = None


class _ScoringSection(Record):
    estimator: str | None = None
    parameters: Plain | None = None
    normalise: str | None = None


class _SpotSection(Record):
    name: str
    parameters: Plain | None = None


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
        density: where each spot lies, tensor by tensor; None where the run has no such analysis.
        agreement: how far choices of scoring agree; None likewise. Rows whose ``comparison`` is ``budget`` are of
            token budgets, all others of pairs of choices.
        further: the tables of further analyses that the run has, by name.
        views: the tables of each view that it has.
    """

    plan: Plan
    study: Mapping[str, Any]
    results: Results
    scores: Mapping[str, Any]
    density: pd.DataFrame | None
    agreement: pd.DataFrame | None
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)

    @property
    def choices(self) -> pd.DataFrame | None:
        """Agreement between choices of scoring, pair by pair; None where there is none."""
        return self._agreement(budget=False)

    @property
    def budgets(self) -> pd.DataFrame | None:
        """Agreement between draws of text by token budget; None where there is none."""
        return self._agreement(budget=True)

    def model_name(self) -> str:
        """The model as the study names it."""
        section = self.study.get("model")
        return str(section["id"]) if isinstance(section, dict) and section.get("id") else self.plan.model.id

    def recipe_parameters(self, spot: str) -> Mapping[str, Any]:
        """What the study gives to a spot's recipe; empty where it leaves everything at its default."""
        sections = self.study.get("spots")
        for section in sections if isinstance(sections, list) else ():
            if isinstance(section, dict) and section.get("name") == spot:
                parameters = section.get("parameters")
                return parameters if isinstance(parameters, dict) else {}
        return {}

    def _agreement(self, *, budget: bool) -> pd.DataFrame | None:
        if self.agreement is None:
            return None
        rows = self.agreement[(self.agreement["comparison"] == _BUDGET) == budget]
        return rows if len(rows) else None


def require_directory(directory: Path) -> None:
    """Make sure that there is a folder.

    Raises:
        ArtefactError: there is none.
    """
    if not directory.is_dir():
        raise ArtefactError(f"{directory} is not a run directory; give one made by 'codingspot run'")


def read_run(directory: Path) -> Run:
    """Read a run directory whose cells are all done.

    Raises:
        ArtefactError: a file is missing, corrupt or of another kind, or a cell of the plan has no results.
    """
    require_directory(directory)
    plan = _plan(directory / "plan.json")
    return Run(
        plan=plan,
        study=_study(directory / "study.yaml"),
        results=_results(directory, plan),
        scores=_scores(directory / "scores" / "manifest.json"),
        **_analyses(directory / "analysis", plan),
        views=_views(directory / "analysis"),
    )


def _plan(path: Path) -> Plan:
    plan = read_model(path, Plan, what="a plan", way_out=_AGAIN)
    if not plan.cells or plan.cells[0].name != ORIGINAL:
        raise ArtefactError(f"{path} does not begin with the original model; {_AGAIN}")
    return plan


def _results(directory: Path, plan: Plan) -> Results:
    results = Results.read(directory)
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
        for task in plan.tasks:
            if (cell.name, task.name) not in there:
                raise ArtefactError(f"{directory / OUTCOMES_FILE} has no {task.name} of cell {cell.name!r}; {_AGAIN}")
    read = losses.loc[losses["cell"] == ORIGINAL, "domain"]
    check_known(directory / LOSSES_FILE, losses, "domain", set(read), _AGAIN)
    for file, frame in ((OUTCOMES_FILE, outcomes), (LOSSES_FILE, losses)):
        for column in names.keys() & set(frame.columns):
            check_known(directory / file, frame, column, names[column], _AGAIN)
    return results


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
    found: dict[str, Mapping[str, pd.DataFrame]] = {}
    for name in views():
        schemas = VIEWS.traits(name).load().schemas
        stems = [stem for stem in schemas if (folder / f"{stem}.parquet").exists()]
        if stems:
            found[name] = {stem: read_table(folder, stem, schemas) for stem in stems}
    return found


def _analyses(folder: Path, plan: Plan) -> dict[str, Any]:
    stems = [stem for stem in TABLES if (folder / f"{stem}.parquet").exists()]
    tables = {stem: read_table(folder, stem) for stem in stems}
    known = {"spot": set(plan.spots()), "cell": {cell.name for cell in plan.cells}}
    for column, named in _NAMED.items():
        for stem in stems:
            if stem in named:
                check_known(folder / f"{stem}.parquet", tables[stem], column, known[column], _AGAIN)
    own = {stem: tables.pop(stem, None) for stem in _OWN}
    return {**own, "further": tables}
