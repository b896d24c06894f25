"""What evaluation produces: one row per (cell, task, item) and one per (cell, domain, document), saved as Parquet.

The same rows give the same bytes: column order, types, compression and metadata are fixed, and nothing about when or
where a file was written is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
from pydantic import Field, TypeAdapter

from codingspot.errors import ArtefactError
from codingspot.outputs import check_file
from codingspot.tables import Column, TableSchema, number, whole

OUTCOMES_FILE = "results.parquet"
LOSSES_FILE = "losses.parquet"

_AGAIN = "delete it and run the study again"


def _text(name: str) -> Column:
    return Column(name, pa.string())


OUTCOMES = TableSchema(
    (_text("cell"), _text("task"), whole("item"), number("outcome", 0, 1), _text("sample"), _text("verdict")),
    key=("cell", "task", "item"),
    closed=True,
    level=3,
)
LOSSES = TableSchema(
    (_text("cell"), _text("domain"), whole("document"), whole("tokens"), number("loss")),
    key=("cell", "domain", "document"),
    closed=True,
    level=3,
)


@dataclass(frozen=True)
class ItemOutcome:
    """What one model made of one item.

    Attributes:
        task: name of the task.
        item: index of the item in the task's data.
        outcome: the task's metric for this item, 0-1; with several samples, their mean.
        sample: index of the choice taken, or the generated text (a JSON list where there are several).
        verdict: for programs, what the sandbox said (a JSON list where there are several samples); "non-finite"
            where the model's logits were not numbers, which makes the outcome 0; otherwise empty.
    """

    task: str
    item: int
    outcome: float
    sample: str
    verdict: str = ""


@dataclass(frozen=True)
class DocumentLoss:
    """Loss of one document.

    Attributes:
        domain: name of the domain.
        document: index of the document in the domain.
        tokens: number of tokens predicted.
        loss: their summed negative log-probability in nats; infinite where the model's logits were not numbers.
    """

    domain: str
    document: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Results:
    """Rows of any number of cells.

    Attributes:
        outcomes: columns cell, task, item, outcome, sample, verdict (see ``ItemOutcome``).
        losses: columns cell, domain, document, tokens, loss (see ``DocumentLoss``).
    """

    outcomes: pd.DataFrame
    losses: pd.DataFrame

    @classmethod
    def of_cell(cls, cell: str, outcomes: Iterable[ItemOutcome], losses: Iterable[DocumentLoss] = ()) -> Results:
        """The rows of one cell, in the order given."""
        items = [(cell, o.task, o.item, o.outcome, o.sample, o.verdict) for o in outcomes]
        documents = [(cell, d.domain, d.document, d.tokens, d.loss) for d in losses]
        return cls(pd.DataFrame(items, columns=OUTCOMES.names), pd.DataFrame(documents, columns=LOSSES.names))

    @classmethod
    def concat(cls, parts: Sequence[Results]) -> Results:
        """The rows of all ``parts``, in order."""
        empty = cls.of_cell("", ())
        return cls(
            _stack([part.outcomes for part in parts if len(part.outcomes)], empty.outcomes),
            _stack([part.losses for part in parts if len(part.losses)], empty.losses),
        )

    def write(self, folder: Path, *, force: bool = False) -> None:
        """Write ``results.parquet`` and ``losses.parquet`` in ``folder``, each whole or not at all.

        ``force`` replaces result tables that are there.

        Raises:
            OutputError: something else has one of these names, or a result table and not ``force``.
        """
        tables = ((OUTCOMES, OUTCOMES_FILE, self.outcomes), (LOSSES, LOSSES_FILE, self.losses))
        checks = [partial(check_file, folder / file, schema.is_of, force=force) for schema, file, _ in tables]
        for check in checks:
            check()
        for check, (schema, file, frame) in zip(checks, tables, strict=True):
            schema.write(folder / file, frame, ready=check)

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read what ``write`` wrote.

        Raises:
            ArtefactError: a file is missing, truncated or corrupt, or holds something else.
        """
        outcomes = OUTCOMES.read(folder / OUTCOMES_FILE)
        _check_programs(folder / OUTCOMES_FILE, outcomes)
        return cls(outcomes, LOSSES.read(folder / LOSSES_FILE))

    def cells(self) -> list[str]:
        """Names of the cells, in order of appearance."""
        return list(dict.fromkeys([*self.outcomes["cell"], *self.losses["cell"]]))


def _stack(frames: Sequence[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else empty


def programs_of(sample: str, verdict: str) -> list[tuple[str, str]]:
    """Each program of an item with its verdict; the two texts are JSON lists of them where there are several.

    Raises:
        ValueError: one is such a list and the other is none as long.
    """
    verdicts = verdicts_of(verdict)
    programs = _Texts.validate_json(sample, strict=True) if verdict.startswith("[") else [sample]
    return list(zip(programs, verdicts, strict=True))


def verdicts_of(verdict: str) -> list[str]:
    """The verdict on each program of an item: one, or those of a JSON list.

    Raises:
        ValueError: it begins such a list and is none, or an empty one.
    """
    return _Texts.validate_json(verdict, strict=True) if verdict.startswith("[") else [verdict]


_Texts = TypeAdapter(Annotated[list[str], Field(min_length=1)])


def _check_programs(path: Path, outcomes: pd.DataFrame) -> None:
    several = outcomes[outcomes["verdict"].str.startswith("[")]
    for sample, verdict in zip(several["sample"], several["verdict"], strict=True):
        try:
            programs_of(sample, verdict)
        except ValueError:
            shown = f"{verdict[:40]}..." if len(verdict) > 40 else verdict
            raise ArtefactError(f"{path} has the verdict {shown!r} and no program for each in it; {_AGAIN}") from None
