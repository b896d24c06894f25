"""Own region per language, or a shared one? What zeroing each language's spot does to every language.

1. Each language's spot is found from its text alone (against general text, where the recipe contrasts), in the same
   scope and number; a recipe that orders one domain by its scores alone finds each general domain's too.
2. Its weights are zeroed, and the perplexity of every domain and pass@1 on problems in a few languages are taken.

A language with a region of its own loses by its own spot alone: the diagonal of the matrix. With a shared region every
language's spot harms every language alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, MadeFrom, Tables
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.evaluation.metrics import task_rates
from codingspot.evaluation.results import Results
from codingspot.evaluation.statistics import rate_intervals
from codingspot.report.drawing import Picture
from codingspot.report.labels import domain_label, scope_label, task_label
from codingspot.report.run_files import Run
from codingspot.report.section import REGIONS, REGIONS_READING, Section
from codingspot.report.specificity import Finding
from codingspot.report.squares import square_panel
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table
from codingspot.spot import Spot, domain_spots
from codingspot.study.cells import Cell
from codingspot.tables import analysis_table, domain_kind, figure, k_percent, text, texts, whole

if TYPE_CHECKING:
    from codingspot.study.config import LanguageMatrixSection

_PREFIX: Final = "language-matrix"
_ORIGINAL: Final = f"{_PREFIX}-original"


def _sections(run: Run, _summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    table = run.further.get("language_matrix")
    if table is not None:
        pictures = (_picture(table),) if run.plan.spots() else ()
        yield Section(REGIONS_READING, pictures, tuple(_problems(table)), title=REGIONS)


def _picture(table: pd.DataFrame) -> Picture:
    """Perplexity of every domain after zeroing each language's spot."""
    rows = table[table["measure"] == "loss"].assign(ratio=lambda t: np.exp((t["value"] - t["original"]).astype(float)))
    spots, domains = (list(dict.fromkeys(rows[name])) for name in ("spot", "of"))
    ordered = [*(name for name in spots if name in domains), *(name for name in domains if name not in spots)]
    square = rows.pivot(index="spot", columns="of", values="ratio").reindex(spots, columns=ordered)
    panel = square_panel(
        "Perplexity after zeroing a language's spot",
        "Perplexity ratio of every domain, in columns, after zeroing the spot of each language, in rows.",
        square,
        "ratio",
        ylabel="spot of",
    )
    one = table.iloc[0]
    caption = (
        f"Perplexity of each domain (columns) over the original model's after zeroing the top {one['k_percent']:g}% "
        f"for one language alone (rows; {scope_label(one['scope'])}, recipe {one['recipe']}). A dark diagonal: regions "
        "of their own. Rows that are dark throughout: a shared region."
    )
    return Picture("language_matrix", "Spots of languages and perplexity", caption, (panel,))


def _problems(table: pd.DataFrame) -> Iterator[Table]:
    """pass@1 after zeroing each language's spot, where the matrix has tasks."""
    rates = table[table["measure"] == "pass@1"]
    tasks = list(dict.fromkeys(rates["of"]))
    if not tasks:
        return
    before = rates.drop_duplicates("of").set_index("of")["original"].to_dict()
    rows = [Row("", "", "original", ("None", *(Number(float(before[task])) for task in tasks)))]
    for spot, found in rates.groupby("spot", sort=False):
        by_task = {row["of"]: row for row in found.to_dict("records")}
        values = [Number(*(float(by_task[task][c]) for c in ("value", "low", "high"))) for task in tasks]
        rows.append(Row("", "", "spot", (domain_label(str(spot)), *values)))
    columns = (
        Column("spot_of", "Spot of"),
        *(Column(task, task_label(task), "score", has_range=True) for task in tasks),
    )
    caption = (
        "pass@1 on problems in each language after zeroing the spot of one language, with 95% Wilson intervals. A "
        "language with a region of its own fails by its own spot alone."
    )
    yield Table("language_problems", "Spots of languages and problems", caption, columns, tuple(rows))


def _settings(made: MadeFrom) -> Any:
    section = made.study.language_matrix
    return None if section is None else section.model_dump(mode="json")


@ANALYSES.register(
    "language_matrix",
    label=REGIONS,
    traits=AnalysisTraits(
        {
            "language_matrix": analysis_table(
                text("spot"),
                domain_kind("spot_kind"),
                text("measure", "loss", "pass@1"),
                text("of"),
                *map(figure, ("original", "value", "low", "high")),
                k_percent(),
                whole("parameters"),
                *texts("scope", "recipe"),
            )
        },
        _sections,
        after="cells",
        place=35,
        asked=lambda study: study.language_matrix is not None,
        key=_settings,
    ),
)
def language_matrix(given: Given) -> Tables:
    """What zeroing each language's own spot does to the perplexity of all domains and to problems in some.

    Columns: ``spot`` (the domain whose spot is zeroed), ``spot_kind``, ``measure`` (``loss``, nats a token, or
    ``pass@1``), ``of`` (the domain or task), ``original``, ``value``, ``low`` and ``high`` (95%: of the loss by paired
    bootstrap over documents, of pass@1 by Wilson's score), ``k_percent``, ``parameters``, ``scope``, ``recipe``.

    Raises:
        StudyError: the recipe, its parameter or the scope is unknown.
        ArtefactError: a language has no scores.
        EvaluationError: a task can't be loaded or evaluated.
    """
    section, plan = given.study.language_matrix, given.plan
    assert section is not None and plan is not None  # noqa: PT018 - it is made where these are
    spots = matrix_spots(given, section)
    cells = [Cell(name=_ORIGINAL), *_cells(section, spots, given.study.scoring.estimator)]
    results = given.evaluate(cells, spots, section.tasks, section.limit, section.model_dump(mode="json"))
    table = pd.DataFrame(_rows(results, cells, {domain.name: domain.kind for domain in plan.domains}))
    return {"language_matrix": table.assign(k_percent=section.k_percent, scope=section.scope, recipe=section.recipe)}


def matrix_spots(given: Given, section: LanguageMatrixSection) -> dict[str, Spot]:
    """Each language's own spot; by a recipe that orders one domain by its scores alone, the general domains' too.

    Raises:
        StudyError: the recipe, its parameter or the scope is unknown.
        ArtefactError: a language has no scores.
    """
    languages = section.languages or [domain.name for domain in given.scoring.scored if domain.kind == "code"]
    if section.spot().traits.one_domain:
        store = given.store
        wanted = [store.domain(name) for name in (*languages, *store.names("general"))]
        return domain_spots(replace(store, domains=tuple(wanted)), max_k_percent=section.k_percent, scope=section.scope)
    return {name: given.find(section.spot(name), None) for name in languages}


def _cells(section: LanguageMatrixSection, spots: Mapping[str, Spot], estimator: str) -> Iterator[Cell]:
    for name, spot in spots.items():
        yield Cell(
            name=f"{_PREFIX}-{name}",
            spot=name,
            recipe=section.recipe,
            scope=section.scope,
            estimator=estimator,
            edit="zero",
            k_percent=section.k_percent,
            parameters=len(spot),
        )


def _rows(results: Results, cells: Sequence[Cell], kinds: Mapping[str, str]) -> Iterator[dict[str, object]]:
    changes = loss_changes(results.losses, _ORIGINAL)
    for cell in cells[1:]:
        row = {"spot": cell.spot, "spot_kind": kinds.get(str(cell.spot), "code"), "parameters": cell.parameters}
        for found in changes[changes["cell"] == cell.name].to_dict("records"):
            before = found["original"]
            ends = {end: before + found[end] for end in ("low", "high")}
            measured = {"measure": "loss", "of": found["domain"], "original": before}
            yield {**row, **measured, "value": before + found["change"], **ends}
        yield from _rates(results, cell, row)


def _rates(results: Results, cell: Cell, row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    outcomes = results.outcomes
    rates = task_rates(outcomes)
    intervals = rate_intervals(outcomes[outcomes["cell"] == cell.name])
    for task, rate in rates.get(cell.name, {}).items():  # nothing where the matrix has no tasks
        ends = {"low": intervals[task].low, "high": intervals[task].high}
        yield {**row, "measure": "pass@1", "of": task, "original": rates[_ORIGINAL][task], "value": rate, **ends}
