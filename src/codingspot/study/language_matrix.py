"""Own region per language, or a shared one? What zeroing each language's spot does to every language.

1. Each language's spot is found in its scores alone, in the same scope and number; with the recipe ``sum`` each general
   domain's is too.
2. Its weights are zeroed, and the perplexity of every domain and pass@1 on problems in a few languages are taken.

A language with a region of its own loses by its own spot alone: the diagonal of the matrix. With a shared region every
language's spot harms every language alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from codingspot.analysis_tables import write_table
from codingspot.corpus import Corpus, Domain
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.evaluation.metrics import task_rates
from codingspot.evaluation.results import Results
from codingspot.evaluation.statistics import rate_intervals
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel
from codingspot.spot import Spot, domain_spots, find_spot
from codingspot.study.cells import Cell
from codingspot.study.config import LanguageMatrixSection, Study
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import CellRunner
from codingspot.study.keys import StudyKeys

_PREFIX = "language-matrix"
_ORIGINAL = f"{_PREFIX}-original"


def language_matrix(
    study: Study,
    section: LanguageMatrixSection,
    loaded: LoadedModel,
    store: ScoreStore,
    corpus: Corpus,
    directory: RunDirectory,
    *,
    unsafe: bool = False,
    stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Evaluate the matrix, cell by cell, and write ``analysis/language_matrix.parquet``; cells that are saved are kept.

    Columns: ``spot`` (the domain whose spot is zeroed), ``spot_kind``, ``measure`` (``loss``, nats a token, or
    ``pass@1``), ``of`` (the domain or task), ``original``, ``value``, ``low`` and ``high`` (95%: of the loss by paired
    bootstrap over documents, of pass@1 by Wilson's score), ``k_percent``, ``parameters``, ``scope``, ``recipe``.

    Raises:
        StudyError: the recipe, its parameter or the scope is unknown.
        ArtefactError: a language has no scores.
        EvaluationError: a task can't be loaded or evaluated.
    """
    spots = matrix_spots(store, section)
    cells = [Cell(name=_ORIGINAL), *_cells(study, section, spots)]
    tasks = load_tasks([TaskSpec(name, limit=section.limit) for name in section.tasks], tokenizer=loaded.tokenizer)
    fingerprints = {task.name: task.fingerprint for task in tasks}
    directory.settle(StudyKeys(study, {}).matrix_cells(cells, fingerprints))
    if not all(directory.is_done(cell) for cell in cells):
        with CellRunner(study, loaded, tasks, corpus, spots, directory, unsafe=unsafe, in_study=False) as runner:
            for cell in cells:
                stage(cell.name)
                runner.run(cell)
    results = Results.concat([directory.cell_results(cell.name) for cell in cells])
    table = pd.DataFrame(_rows(results, cells, {domain.name: domain for domain in corpus.domains}))
    table = table.assign(k_percent=section.k_percent, scope=section.scope, recipe=section.recipe)
    write_table(directory.analysis, "language_matrix", table)


def matrix_spots(store: ScoreStore, section: LanguageMatrixSection) -> dict[str, Spot]:
    """Each language's own spot; with the recipe ``sum``, the general domains' too.

    Raises:
        StudyError: the recipe, its parameter or the scope is unknown.
        ArtefactError: a language has no scores.
    """
    languages = store.names("code") if section.languages is None else section.languages
    if section.recipe == "sum":
        wanted = [store.domain(name) for name in (*languages, *store.names("general"))]
        return domain_spots(replace(store, domains=tuple(wanted)), max_k_percent=section.k_percent, scope=section.scope)
    return {
        name: find_spot(
            store,
            recipe=section.recipe,
            scope=section.scope,
            max_k_percent=section.k_percent,
            languages=[name],
            **section.parameters,
        )
        for name in languages
    }


def _cells(study: Study, section: LanguageMatrixSection, spots: Mapping[str, Spot]) -> list[Cell]:
    return [
        Cell(
            name=f"{_PREFIX}-{name}",
            spot=name,
            recipe=section.recipe,
            scope=section.scope,
            estimator=study.scoring.estimator,
            edit="zero",
            k_percent=section.k_percent,
            parameters=len(spot),
        )
        for name, spot in spots.items()
    ]


def _rows(results: Results, cells: Sequence[Cell], domains: Mapping[str, Domain]) -> Iterator[dict[str, object]]:
    changes = loss_changes(results.losses, _ORIGINAL)
    for cell in cells[1:]:
        kind = domains[str(cell.spot)].kind if cell.spot in domains else "code"
        row = {"spot": cell.spot, "spot_kind": kind, "parameters": cell.parameters}
        for found in changes[changes["cell"] == cell.name].to_dict("records"):
            before = found["original"]
            ends = {end: before + found[end] for end in ("low", "high")}
            yield {
                **row,
                "measure": "loss",
                "of": found["domain"],
                "original": before,
                "value": before + found["change"],
                **ends,
            }
        yield from _rates(results, cell, row)


def _rates(results: Results, cell: Cell, row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    outcomes = results.outcomes
    rates = task_rates(outcomes)
    intervals = rate_intervals(outcomes[outcomes["cell"] == cell.name])
    for task, rate in rates.get(cell.name, {}).items():  # nothing where the matrix has no tasks
        ends = {"low": intervals[task].low, "high": intervals[task].high}
        yield {**row, "measure": "pass@1", "of": task, "original": rates[_ORIGINAL][task], "value": rate, **ends}
