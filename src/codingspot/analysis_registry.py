"""What an analysis of a study is: tables beside its cells, and what a report says of them.

An analysis is a function from what a run has (:class:`Given`) to tables, registered under the name of its module with
the title of its part of a report. Its traits say when it is made, what its tables hold, and how a report shows them.

1. Where a study asks for it, the function makes its tables, once; they are kept by what they were made from.
2. ``sections`` is its part of a report, from a run directory alone: sentences, pictures and tables.

Those of this package are the modules of :mod:`codingspot.analyses`, each loaded when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final, Literal

from codingspot.errors import StudyError
from codingspot.registry import OWN, Registry

if TYPE_CHECKING:  # what only lists analyses loads none of it
    import pandas as pd

    from codingspot.corpus import Corpus
    from codingspot.evaluation.results import Results
    from codingspot.importance import ScoreStore
    from codingspot.models import LoadedModel
    from codingspot.report.run_files import Run
    from codingspot.report.section import Section
    from codingspot.report.specificity import Finding
    from codingspot.report.summary import RunSummary
    from codingspot.spot import Spot
    from codingspot.spot.evolution import SnapshotRecorder
    from codingspot.study.cells import Cell, Plan
    from codingspot.study.config import Study
    from codingspot.study.spot_section import SpotSection
    from codingspot.tables import TableSchema

Tables = Mapping[str, "pd.DataFrame"]
"""File stem to rows."""
DOSES_COMPARED: Final = (0.01, 0.09, 0.25, 1.0)
"""Percentages of all parameters at which rankings are compared."""
After = Literal["scores", "spots", "cells"]
"""A point of a run: everything is scored, every spot is found, every cell is evaluated."""


def _absent(*_: Any) -> Any:
    """Stands for what comes later in a run.

    Raises:
        StudyError: always, as an analysis asked for it too early.
    """
    raise StudyError("an analysis asks for what a run hasn't got yet; make it after cells, by its traits")


@dataclass(frozen=True)
class Given:
    """What an analysis may read; what comes later in a run isn't there yet.

    Attributes:
        study: with its evaluation settled for the model.
        loaded: the model; its weights must be left as they are.
        scoring: what is scored and trained on.
        held_out: the documents whose loss is taken.
        scores: of every parameter for every domain; None where the study reads none.
        draws: scores of disjoint text at a sample of the parameters; empty where the store isn't made of draws.
        by_reduction: scores of the first draw's text by another reduction of the estimator, by its name.
        snapshots: recorded in fine-tuning; None without, and where scores were made before.
        training_losses: of every step of fine-tuning, by seed and domain.
        spots: every spot and control by name, from the point ``spots`` on.
        find: what a spot's recipe finds, without another spot too where one is given, likewise.
        cells: the study's grid, likewise.
        plan: the plan of all cells, at the point ``cells``.
        outcomes: of the cells that were asked every item, or as many as settled them, likewise.
        losses: of documents, in every cell, likewise.
        evaluate: evaluates cells of the analysis's own, each kept once it is finished: from cells, their spots by name,
            tasks, how many items of each (None: all), and what else these are made from, as plain data.
        saved: a table saved earlier in the run, by its stem; None where there is none.
        advance: hears shares of the work, which come to 1.
    """

    study: Study
    loaded: LoadedModel
    scoring: Corpus
    held_out: Corpus
    scores: ScoreStore | None = None
    draws: Sequence[ScoreStore] = ()
    by_reduction: Callable[[str], ScoreStore] = _absent
    snapshots: SnapshotRecorder | None = None
    training_losses: Mapping[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    spots: Mapping[str, Spot] = field(default_factory=dict)
    find: Callable[[SpotSection, Spot | None], Spot] = _absent
    cells: Sequence[Cell] = ()
    plan: Plan | None = None
    outcomes: pd.DataFrame | None = None
    losses: pd.DataFrame | None = None
    evaluate: Callable[[Sequence[Cell], Mapping[str, Spot], Sequence[str], int | None, Any], Results] = _absent
    saved: Callable[[str], pd.DataFrame | None] = _absent
    advance: Callable[[float], None] = lambda _: None

    @property
    def store(self) -> ScoreStore:
        """The scores, of an analysis that reads them."""
        assert self.scores is not None
        return self.scores


@dataclass(frozen=True)
class MadeFrom:
    """What an analysis's tables may depend on in a run directory, as plain data; the scores may not change there.

    Attributes:
        study: as :class:`Given` has it.
        asked: whether the study names the analysis.
        spots: of each spot what it is selected by.
        doses: of each spot its name and doses.
        edits: of each cell what is edited.
        tasks: fingerprints of the tasks.
    """

    study: Study
    asked: bool
    spots: Sequence[Any]
    doses: Sequence[Any]
    edits: Sequence[Any]
    tasks: Mapping[str, str]


def _of_spots(made: MadeFrom) -> Any:
    return [made.asked, made.spots, made.doses]


@dataclass(frozen=True)
class AnalysisTraits:
    """How an analysis is made and shown.

    Attributes:
        schemas: file stem to table; the first is written last, and says that the analysis is made.
        sections: from a run, its summary and findings to its parts of a report.
        after: when it is made; after ``cells``, anew each time that a run goes on, as there may be more of them.
        once: not anew then, as it is made from no more than what its key has.
        place: where it stands among the others.
        asked: whether a study asks for it; None where it does so by naming it in ``analyses``.
        fits: refuses, before anything is computed, a study that it can't be made of; only the study, the model and the
            corpora are there.
        key: what its tables depend on.
        names: the column, ``spot`` or ``cell``, that names what the plan has; empty where none does.
        always: it is made in any study, and says more where it is named.
        costly: a study has it where it names it alone.
        reductions: it compares the estimator's other reductions, each a further pass over one draw of the text.
        figures: from a run to what it says of single spots, by their names: figures by name, as JSON values.
    """

    schemas: Mapping[str, TableSchema] = field(default_factory=dict)
    sections: Callable[[Run, RunSummary, Sequence[Finding]], Iterable[Section]] = lambda *_: ()
    after: After = "spots"
    once: bool = False
    place: int = 100
    asked: Callable[[Study], bool] | None = None
    fits: Callable[[Given], None] = lambda _: None
    key: Callable[[MadeFrom], Any] = _of_spots
    names: Literal["spot", "cell", ""] = ""
    always: bool = False
    costly: bool = False
    reductions: bool = False
    figures: Callable[[Run], Mapping[str, Mapping[str, Any]]] = lambda _: {}


_HOME: Final = f"{__package__}.analyses"

ANALYSES: Final[Registry[Callable[[Given], Tables], AnalysisTraits]] = Registry(
    "analysis",
    AnalysisTraits(),
    {m.name: f"{_HOME}.{m.name}:{m.name}" for m in iter_modules([str(Path(__file__).with_name("analyses"))])},
)
"""Analyses by the name that a study file gives them."""


def analyses() -> list[str]:
    """Every analysis that can be used, in the order in which they are made and shown."""
    return sorted(filter(ANALYSES.is_usable, ANALYSES), key=lambda name: ANALYSES.traits(name).place)


def named_analyses() -> list[str]:
    """Those that a study asks for by name."""
    return [name for name in analyses() if ANALYSES.traits(name).asked is None]


def analyses_by_default() -> tuple[str, ...]:
    """Those of this package that a study has which doesn't say."""
    own = (name for name in named_analyses() if ANALYSES.source(name) == OWN)
    return tuple(name for name in own if not ANALYSES.traits(name).costly)


def is_made(name: str, study: Study) -> bool:
    """Whether an analysis is made of ``study``."""
    traits = ANALYSES.traits(name)
    return traits.always or (name in study.analyses if traits.asked is None else traits.asked(study))


def named(name: str) -> str:
    """``name``, where a study may ask for an analysis by it: validates a setting.

    Raises:
        ValueError: it may not; the message lists those it may.
    """
    if name in ANALYSES and ANALYSES.source(name) != OWN:
        ANALYSES.known(name)  # which says what is wrong with a faulty package
    if name not in named_analyses():
        raise ValueError(f"unknown analysis {name!r}; use one of {', '.join(named_analyses())}")
    return name


def analysis_schemas() -> dict[str, TableSchema]:
    """The tables of every analysis, by file stem."""
    return {stem: schema for name in analyses() for stem, schema in ANALYSES.traits(name).schemas.items()}


def stacked(**parts: Sequence[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Each table's parts one under another; a table without rows is left out."""
    import pandas as pd

    filled = {stem: [part for part in found if len(part)] for stem, found in parts.items()}
    return {stem: pd.concat(found, ignore_index=True) for stem, found in filled.items() if found}
