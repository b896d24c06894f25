"""A run's cells in an experiment tracker: one step a cell, in the plan's order.

Each goes through the tracker's own library, and stays on this machine unless its own environment variables say
otherwise.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from codingspot.errors import OutputError, StudyError
from codingspot.extras import optional_packages
from codingspot.files import reason
from codingspot.report.run_files import read_run
from codingspot.report.summary import summarise

_PROJECT = "codingspot"


def check_tracker(name: str) -> None:
    """Make sure, before any work, that there is such a tracker and its library.

    Raises:
        StudyError: there is none of that name.
        MissingPackageError: its library isn't installed.
    """
    if name not in _LOG:
        raise StudyError(f"no tracker {name!r}; use one of {', '.join(_LOG)}")
    with optional_packages():
        importlib.import_module(name)


def track(run_directory: Path, name: str) -> None:
    """Log every cell of a run directory.

    Raises:
        StudyError, MissingPackageError: as :func:`check_tracker`.
        ArtefactError: a file of the run is missing, truncated or corrupt.
        OutputError: the tracker's library refuses.
    """
    check_tracker(name)
    run = read_run(run_directory)
    steps = [(str(record["cell"]), dict(_numbers(record))) for record in summarise(run).records() if "tasks" in record]
    study = yaml.safe_load((run_directory / "study.yaml").read_text(encoding="utf-8"))
    try:
        _LOG[name](importlib.import_module(name), run_directory, run.plan.study, study, steps)
    except Exception as error:  # each library has errors of its own
        raise OutputError(f"{name} could not log {run_directory} ({reason(error)}); the run itself is whole") from None


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a record under one name a level, such as ``perplexity/python``; intervals are left out."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            if key != "intervals":
                yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


Steps = Sequence[tuple[str, Mapping[str, float]]]
Log = Callable[[Any, Path, str, Mapping[str, Any], Steps], None]
"""Hands a run to a tracker's library: its folder, name, study, and every cell's name and numbers."""


def _trackio(library: Any, _folder: Path, title: str, study: Mapping[str, Any], steps: Steps, **settings: str) -> None:
    library.init(project=_PROJECT, name=title, config=dict(study), **settings)
    for cell, numbers in steps:
        library.log({"cell": cell, **numbers})
    library.finish()


def _wandb(library: Any, folder: Path, title: str, study: Mapping[str, Any], steps: Steps) -> None:
    mode = os.environ.get("WANDB_MODE", "offline")
    _trackio(library, folder, title, study, steps, dir=str(folder), mode=mode)  # whose interface is wandb's


def _mlflow(library: Any, folder: Path, title: str, _study: Mapping[str, Any], steps: Steps) -> None:
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        library.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    library.set_experiment(_PROJECT)
    with library.start_run(run_name=title):
        library.set_tags({f"cell {step}": cell for step, (cell, _) in enumerate(steps)})
        for step, (_, numbers) in enumerate(steps):
            library.log_metrics(dict(numbers), step=step)


_LOG: Final[Mapping[str, Log]] = {"wandb": _wandb, "trackio": _trackio, "mlflow": _mlflow}
