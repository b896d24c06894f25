"""What a view of a model is: settings, tables made from the model, and what a report and a command say of them.

A view is registered by its settings, whose fields are the keys of the study file and the options of the command, and
whose documentation is the command's help. Its traits say what that takes; they load the rest when it is first needed.

1. ``prepare`` says what the tables depend on and how they are made. What is saved is read, what was stopped resumes.
2. ``section`` is the view's part of a report, from the tables alone: a paragraph, pictures and tables.
3. ``show`` and ``told`` are what its command prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from codingspot.records import Record
from codingspot.registry import Registry
from codingspot.settings import InputPath, Name, Settings

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    import pandas as pd
    from rich.console import Console

    from codingspot.analysis import Pieces
    from codingspot.corpus import Corpus
    from codingspot.corpus.parallel import ParallelCorpus
    from codingspot.models import LoadedModel
    from codingspot.report.section import Section
    from codingspot.spot import Spot
    from codingspot.study.cells import Plan
    from codingspot.tables import TableSchema

Tables = Mapping[str, "pd.DataFrame"]
"""File stem to rows."""
Say = Callable[[str, float], None]
"""Told what is being done and the share of the work that is done."""


class ParallelSettings(Settings):
    """Of a view that reads parallel code: the same program in several languages."""

    parallel: InputPath | None = Field(None, description="a file of parallel code, or testbed")
    languages: tuple[Name, ...] | None = Field(
        None, description="all that the source has by default", json_schema_extra={"short": ["-l"]}
    )
    rows: int | None = Field(None, gt=1, description="the first so many rows of the source; all by default")


class OpenParallel(Protocol):
    """Opens the parallel code that settings name."""

    def __call__(self, settings: ParallelSettings, *, seed: int = 0, one_line: bool = False) -> ParallelCorpus:
        """As :func:`codingspot.study.parallel.open_parallel`."""


@dataclass(frozen=True)
class Found:
    """A view that is saved: its tables by file stem, and what they were made from as plain data."""

    tables: Tables
    inputs: Mapping[str, Any]

    def __getitem__(self, stem: str) -> pd.DataFrame:
        return self.tables[stem]


@dataclass(frozen=True)
class ViewInputs:
    """What a view may look at.

    Attributes:
        loaded: the model, unedited.
        parallel: opens parallel code.
        corpus: texts whose domains are compared; None where the view's traits don't ask for them.
        held_out: other texts of the same domains, for perplexity; None likewise.
        spots: a study's spots by name, without controls.
        others: the study's views that were made before, by the names they are saved under.
        batch_tokens: most tokens of a forward pass; a default of the view's where None. Results don't depend on it.
        unsafe_no_sandbox: run generated programs without a sandbox.
    """

    loaded: LoadedModel
    parallel: OpenParallel
    corpus: Corpus | None = None
    held_out: Corpus | None = None
    spots: Mapping[str, Spot] = field(default_factory=dict)
    others: Mapping[str, Found] = field(default_factory=dict)
    batch_tokens: int | None = None
    unsafe_no_sandbox: bool = False

    def texts(self) -> tuple[Corpus, Corpus]:
        """The corpus and what is held out of it."""
        assert self.corpus is not None and self.held_out is not None  # noqa: PT018 - its traits say that it reads them
        return self.corpus, self.held_out


@dataclass(frozen=True)
class Work:
    """A view that may be made: ``inputs``, plain data, say all that the tables depend on; ``make`` makes them.

    Finished pieces may be kept in the folder that ``make`` is given, so that one that was stopped resumes.
    """

    inputs: dict[str, Any]
    make: Callable[[Pieces, Say], Tables]


def what_is_read(loaded: LoadedModel, corpus: Corpus | ParallelCorpus) -> dict[str, Any]:
    """The model and the texts, as ``inputs`` name them."""
    return {
        "model": loaded.id,
        "revision": loaded.revision,
        "weights": loaded.fingerprint,
        "bos": loaded.bos,
        "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
    }


def _nothing(*_: Any) -> None:
    """Of a view that needs no such step."""


@dataclass(frozen=True)
class View:
    """How a view is made and shown.

    Attributes:
        schemas: file stem to the table: columns and types, checked whenever it is written or read.
        prepare: from inputs and settings to the work; None where these leave nothing to look at.
        section: from the saved tables and the run's plan to the view's part of a report.
        check: refuses, before any work, what can't be done.
        told: the view, and further models' views beside it, as plain data, for ``--json``.
        show: the same, printed.
        files: names to texts of files that its command writes beside the tables.
        inputs: what its ``Found.inputs`` hold, checked when it is read whatever it was made from.
        profiles: what it says of each layer, counted from 0: name to values by layer.
    """

    schemas: Mapping[str, TableSchema]
    prepare: Callable[[ViewInputs, Any], Work | None]
    section: Callable[[Tables, Plan], Section]
    check: Callable[[ViewInputs, Any], None] = _nothing
    told: Callable[[Found, Sequence[Found]], dict[str, Any]] = lambda found, _others: {"inputs": dict(found.inputs)}
    show: Callable[[Found, Sequence[Found], Console], None] = _nothing
    files: Callable[[Found], Mapping[str, str]] = lambda _found: {}
    inputs: type[Record] = Record
    profiles: Callable[[Found], Mapping[str, pd.Series[float]]] = lambda _found: {}


@dataclass(frozen=True)
class ViewTraits:
    """What the program may know of a view before it is loaded.

    Attributes:
        load: loads it.
        place: where it stands among the views, which are made and shown in this order: one that reads others comes
            after them.
        saved_as: name of its record in a run directory; the view's own where empty.
        reads_texts: it compares domains of a corpus.
        runs_programs: it may run generated programs.
        compares: its command sets it beside other models' views.
        has_command: it can be taken of a model alone, without a study.
        by_default: a study that doesn't say has it, beside whatever it asks for.
    """

    load: Callable[[], View]
    place: int = 100
    saved_as: str = ""
    reads_texts: bool = False
    runs_programs: bool = False
    compares: bool = False
    has_command: bool = True
    by_default: bool = False


VIEWS: Registry[type[Settings], ViewTraits] = Registry("view", ViewTraits)
"""Views by the name that a study file and the command line give them."""


def views() -> list[str]:
    """Every view that can be used, in the order in which they are made and shown."""
    return sorted(filter(VIEWS.is_usable, VIEWS), key=lambda name: VIEWS.traits(name).place)


def saved_name(name: str) -> str:
    """The name under which a view is saved."""
    return VIEWS.traits(name).saved_as or name
