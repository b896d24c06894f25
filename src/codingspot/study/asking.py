"""What the tasks of a cell are asked, decided by its losses, which are taken first.

1. At doses that the study leaves without tasks, of further draws of a control, and where perplexity did not move as
   much as the study wants, nothing: perplexity alone is known there.
2. Where the mean loss of every domain is at least log(vocabulary), that of a uniform guess, the model is dead: a few
   items of each task settle that nothing is left. They are drawn at random, the same for all such cells.
3. Otherwise every item, or as many as settle the verdict (:mod:`codingspot.evaluation.stopping`).

What is said of a cell that isn't asked every item follows from its losses and the study alone, and is kept in
``analysis/asked.parquet``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from codingspot.evaluation.metrics import perplexities
from codingspot.evaluation.tasks import EvaluationTask
from codingspot.models import LARGE_MODEL
from codingspot.study.cells import Asked, Cell
from codingspot.study.evaluation_section import EvaluationSection

_ROUNDING = 1e-4
"""Relative: how far the mean loss of a uniform guess may be from its logarithm in arithmetic of 32 bits or fewer."""


def what_is_asked(
    section: EvaluationSection, cell: Cell, losses: pd.DataFrame, original: pd.DataFrame, vocabulary: int
) -> Asked:
    """What a cell is asked, from its losses and those of the original model (columns as in ``Results.losses``)."""
    if cell.spot is None:
        return Asked.ALL
    if cell.purpose == "draw":
        return Asked.DRAW
    if not section.asks_at(cell):
        return Asked.DOSE
    if section.tasks_where is not None and not _moved(losses, original, section.tasks_where.perplexity_ratio):
        return Asked.UNMOVED
    return Asked.DEAD if section.dead_items is not None and beyond_uniform(losses, vocabulary) else Asked.ALL


def beyond_uniform(losses: pd.DataFrame, vocabulary: int) -> bool:
    """Whether every domain's mean loss is at least that of a uniform guess among ``vocabulary`` tokens."""
    sums = losses.groupby("domain")[["loss", "tokens"]].sum()
    means = (sums["loss"] / sums["tokens"]).fillna(math.inf)
    return len(means) > 0 and bool((means >= math.log(vocabulary) * (1 - _ROUNDING)).all())


def _moved(losses: pd.DataFrame, original: pd.DataFrame, factor: float) -> bool:
    if not len(original):  # without held-out text nothing says that it did not
        return True
    (now,), (before,) = (perplexities(table).values() for table in (losses, original))
    return any(not 1 / factor < now[domain] / before[domain] < factor for domain in before)


def few(tasks: Sequence[EvaluationTask], items: int, seed: int) -> list[EvaluationTask]:
    """The tasks with ``items`` items each, drawn without replacement; all of one that has no more."""
    return [task.subset(_drawn(task.numbers, items, seed)) for task in tasks]


def _drawn(numbers: Sequence[int], items: int, seed: int) -> list[int]:
    order = np.random.default_rng(seed).permutation(len(numbers))
    return [numbers[place] for place in order[:items]]


def asked_rows(section: EvaluationSection, asked: Mapping[str, Asked]) -> pd.DataFrame:
    """Cells that aren't asked every item, by their names: columns ``cell``, ``asked`` and ``items`` (of each task)."""
    rows = [
        (cell, str(what), 0 if what.asks_nothing else int(section.dead_items or 0))
        for cell, what in asked.items()
        if what is not Asked.ALL
    ]
    return pd.DataFrame(rows, columns=["cell", "asked", "items"])


def notes(asked: EvaluationSection, parameters: int) -> tuple[str, ...]:
    """How a study's cells are evaluated where its file leaves that to the model's size, or asks tasks of some alone."""
    settled = asked.for_model(parameters)
    said = []
    by_default = f"the default for models of over {LARGE_MODEL:,} parameters"
    if settled.sequential and asked.sequential is None:
        said.append(f"Cells are evaluated sequentially, until their verdict is settled ({by_default}).")
    if settled.dead_items is not None:
        default = f" ({by_default})" if asked.dead_items is None else ""
        said.append(
            f"A cell whose loss on every domain is beyond a uniform guess is asked {settled.dead_items} items of each "
            f"task{default}."
        )
    if asked.tasks_at is not None:
        doses = ", ".join(f"{k:g}" for k in asked.tasks_at)
        said.append(f"Tasks are asked at k = {doses} percent; at other doses perplexity is taken alone.")
    if asked.tasks_where is not None:
        said.append(
            "Tasks are asked where the perplexity of a domain moved by a factor of "
            f"{asked.tasks_where.perplexity_ratio:g} or more; elsewhere perplexity is taken alone."
        )
    return tuple(said) if asked.tasks() else ()
