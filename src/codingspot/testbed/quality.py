"""What was measured of a testbed model, in a file beside it, so that it is printed at once."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from codingspot.errors import ArtefactError
from codingspot.outputs import check_file, holds_model, write_model
from codingspot.records import read_model

_FILE = "evaluation.json"


class TaskQuality(BaseModel):
    """Accuracy of one task in 0-1 (greedy pass@1 for programs), the level of a guess, and the number of items."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    chance: float
    items: int


class Quality(BaseModel):
    """What is known of a testbed model: tasks by name, perplexity by domain, shared vocabulary by language.

    ``shared_vocabulary`` is the share of the token occurrences in pure programs whose token type also occurs in a
    sample of English documents.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    parameters: int
    tasks: dict[str, TaskQuality]
    perplexity: dict[str, float]
    shared_vocabulary: dict[str, float]
    without_subset: dict[str, float] = {}
    """Of a routed model, the accuracy of each task with the subset that code was routed to zeroed."""
    versions: dict[str, str]


def save_quality(quality: Quality, folder: Path, *, force: bool = False) -> None:
    """Store the measured quality beside the model; ``force`` replaces figures that are there.

    Raises:
        OutputError: something else has the file's name, or figures and not ``force``.
    """
    write_model(folder / _FILE, quality, force=force)


def check_quality(folder: Path, *, force: bool = False) -> None:
    """Make sure, before measuring, that :func:`save_quality` may store the figures.

    Raises:
        OutputError: as it.
    """
    check_file(folder / _FILE, partial(holds_model, Quality), force=force)


def load_quality(folder: Path) -> Quality:
    """Read the stored quality of a model.

    Raises:
        ArtefactError: the model was never evaluated, or the file is corrupt.
    """
    path = folder / _FILE
    if not path.exists():
        raise ArtefactError(
            f"{folder} has no {_FILE}; run `codingspot testbed info {shlex.quote(str(folder))} --evaluate`"
        )
    return read_model(path, Quality, what="a model's measured quality", way_out="measure it again with --evaluate")
