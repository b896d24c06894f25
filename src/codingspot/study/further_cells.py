"""Cells that an analysis evaluates beside those of the study, such as a spot a language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codingspot.corpus import Corpus
from codingspot.evaluation.results import Results
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.models import LoadedModel
from codingspot.spot import Spot
from codingspot.study.cells import Cell
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import CellRunner
from codingspot.study.keys import StudyKeys


def further_cells(
    study: Study,
    loaded: LoadedModel,
    corpus: Corpus,
    directory: RunDirectory,
    cells: Sequence[Cell],
    spots: Mapping[str, Spot],
    tasks: Sequence[str],
    limit: int | None,
    made_from: Any,
    *,
    unsafe: bool = False,
    stage: Callable[[str], None] = lambda _: None,
) -> Results:
    """The results of ``cells`` on ``tasks``, ``limit`` items of each, every cell evaluated once and saved.

    ``made_from``, plain data, says what the cells depend on beside the tasks.

    Raises:
        EvaluationError: a task can't be loaded or evaluated.
    """
    asked = load_tasks([TaskSpec(name, limit=limit) for name in tasks], tokenizer=loaded.tokenizer)
    fingerprints = {task.name: task.fingerprint for task in asked}
    directory.settle(StudyKeys(study, {}).further_cells(cells, made_from, fingerprints))
    if directory.unfinished(cells):
        with CellRunner(study, loaded, asked, corpus, spots, directory, unsafe=unsafe, in_study=False) as runner:
            for cell in cells:
                stage(cell.name)
                runner.run(cell)
    return Results.concat([directory.cell_results(cell.name) for cell in cells])
