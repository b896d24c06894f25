"""Reading a run directory: everything a report is made from, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml
from pydantic import ValidationError

from codingspot.errors import ArtefactError
from codingspot.evaluation.results import Results
from codingspot.files import read_json
from codingspot.study.cells import ORIGINAL, Plan

_DENSITY_COLUMNS = {"spot", "k_percent", "layer", "block", "kind", "parameters", "selected"}
_PAIR_COLUMNS = {"comparison", "first", "second", "k_percent", "jaccard", "expected_jaccard", "spearman"}
_AGREEMENT_COLUMNS = _PAIR_COLUMNS | {"token_budget", "lowest_jaccard"}
_BUDGET = "budget"
_FURTHER: Mapping[str, set[str]] = {
    "overlap": {"scope", "first", "second", "k_percent", "jaccard", "expected_jaccard", "chance_jaccard"},
    "overlap_tensors": {"scope", "second", "k_percent", "kind", "parameters", "common", "expected"},
    "polysemanticity": {"spot", "group", "seed", "k_percent", "parameters", "undefined", "q25", "q50", "q75"},
    "shares": {"spot", "group", "seed", "k_percent", "domain", "kind", "share"},
    "reliability": {
        "spot",
        "split",
        "pairs",
        "k_percent",
        "jaccard",
        "lowest_jaccard",
        "highest_jaccard",
        "expected_jaccard",
        "chance_jaccard",
        "spearman",
    },
    "prediction": {"cell", "domain", "kind", "predicted"},
    "language_matrix": {"spot", "spot_kind", "measure", "of", "original", "value", "low", "high", "k_percent", "scope"},
    "sequential": {"cell", "question", "items", "available", "low", "high"},
    "neurons_layers": {"selection", "domain", "layer", "specific", "exclusive", "neurons"},
    "neurons_sharing": {"selection", "first", "second", "layer", "specific", "active"},
    "neurons_sweep": {"selection", "varied", "quantile", "domain", "tokens", "selected", "jaccard"},
    "neurons_ablation": {"selection", "ablated", "control", "seed", "evaluated", "ratio"},
    "neurons_tasks": {"ablated", "control", "task", "items", "rate", "original"},
    "alignment": {"layer", "first", "second", "pairs", "score", "null_high"},
    "alignment_pooled": {"first", "second", "pairs", "rows", "identical", "mean", "max", "best_layer"},
    "lens_sets": {"source", "target", "layer", "set", "kind", "size", "share", "probability", "lift", "best_rank"},
    "lens_targets": {"source", "target", "layer", "probability", "rank", "first", "entropy"},
    "lens_example": {"source", "target", "layer", "position", "place", "token", "probability", "answer", "right"},
    "lens_generation": {"source", "target", "method", "found", "answers"},
    "across_profiles": {"view", "spot", "depth", "value", "relative"},
    "across_pairs": {"overlap", "pairs", "rho", "p_value"},
    "across_spots": {"spot_name", "domain", "layer", "spot", "inside", "expected"},
    "across_ablation": {"ablated", "spot", "evaluated", "parameters", "ratio"},
    "importance_evolution": {"comparison", "first_step", "second_step", "k_percent", "jaccard"},
    "importance_distribution": {"domain", "step", "seed", "layer", "share"},
}
"""Tables of analyses that a study may ask for, and the columns that a report reads."""


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
    """

    plan: Plan
    study: Mapping[str, Any]
    results: Results
    scores: Mapping[str, Any]
    density: pd.DataFrame | None
    agreement: pd.DataFrame | None
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)

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
    results = Results.read(directory)
    known = set(results.cells())
    missing = [cell.name for cell in plan.cells if cell.name not in known]
    if missing:
        raise ArtefactError(
            f"{directory} has no results for cell {missing[0]!r}; run its study again, which resumes, to finish it"
        )
    manifest = directory / "scores" / "manifest.json"
    analysis = directory / "analysis"
    return Run(
        plan=plan,
        study=_study(directory / "study.yaml"),
        results=results,
        scores=read_json(manifest) if manifest.exists() else {},
        density=_table(analysis / "density.parquet", _DENSITY_COLUMNS),
        agreement=_table(analysis / "agreement.parquet", _AGREEMENT_COLUMNS),
        further=_further(analysis),
    )


def _plan(path: Path) -> Plan:
    try:
        plan = Plan.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "plan"
        raise ArtefactError(f"{path} is not a plan ({where}: {first['msg']}); run the study again") from None
    if not plan.cells or plan.cells[0].name != ORIGINAL:
        raise ArtefactError(f"{path} does not begin with the original model; run the study again")
    return plan


def _study(path: Path) -> Mapping[str, Any]:
    try:
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist; a run directory holds its study") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(study, dict):
        raise ArtefactError(f"{path} is not a study file; put back the one the run was made with")
    return study


def _further(analysis: Path) -> dict[str, pd.DataFrame]:
    found = {name: _table(analysis / f"{name}.parquet", columns) for name, columns in _FURTHER.items()}
    return {name: table for name, table in found.items() if table is not None}


def _table(path: Path, columns: set[str]) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtefactError(f"{path} is truncated or corrupt ({reason}); delete it and run the study again") from None
    missing = sorted(columns - set(frame.columns))
    if missing:
        raise ArtefactError(f"{path} has no column {missing[0]}; delete it and run the study again")
    return frame
