"""What evaluation produces: one row per (cell, task, item) and one per (cell, domain, document), saved as Parquet.

The same rows give the same bytes: column order, types, compression and metadata are fixed, and nothing about when or
where a file was written is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from codingspot.corpus.token_classes import TOKEN_CLASSES
from codingspot.errors import ArtefactError
from codingspot.outputs import check_file
from codingspot.sandbox.inside.model import Verdict
from codingspot.tables import Column, TableSchema, number, whole

OUTCOMES_FILE = "results.parquet"
LOSSES_FILE = "losses.parquet"

_AGAIN = "delete it and run the study again"


NON_FINITE = "non-finite"
"""The verdict where the model's logits were not numbers."""
FURTHER = ["further_samples", "further_verdicts"]
"""The columns of an item's programs but the first; a table without any lacks them."""


def _text(name: str, *values: str) -> Column:
    return Column(name, pa.string(), values=values)


OUTCOMES = TableSchema(
    (
        _text("cell"),
        _text("task"),
        whole("item"),
        number("outcome", 0, 1),
        _text("sample"),
        _text("verdict", "", *map(str, Verdict), NON_FINITE),
        *(Column(name, pa.list_(pa.string()), absent=True) for name in FURTHER),
    ),
    key=("cell", "task", "item"),
    closed=True,
    level=3,
)
BY_CLASS = {"class_tokens": pa.int64(), "class_losses": pa.float64()}
"""The columns of a document's classes of token; what was evaluated without them lacks them."""
LOSSES = TableSchema(
    (
        *(_text("cell"), _text("domain"), whole("document"), whole("tokens"), number("loss")),
        *(Column(name, pa.list_(kind), optional=True, absent=True) for name, kind in BY_CLASS.items()),
    ),
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
        sample: index of the choice taken, or the generated text, the first of several.
        verdict: for programs, what the sandbox said of it; "non-finite" where the model's logits were not numbers,
            which makes the outcome 0; otherwise empty.
        further_samples: the other texts of several.
        further_verdicts: what the sandbox said of each.
    """

    task: str
    item: int
    outcome: float
    sample: str
    verdict: str = ""
    further_samples: tuple[str, ...] = ()
    further_verdicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class DocumentLoss:
    """Loss of one document.

    Attributes:
        domain: name of the domain.
        document: index of the document in the domain.
        tokens: number of tokens predicted.
        loss: their summed negative log-probability in nats; infinite where the model's logits were not numbers.
        class_tokens: the number of tokens of each of :data:`codingspot.corpus.token_classes.TOKEN_CLASSES`; None where
            the tokenizer doesn't say where tokens are.
        class_losses: the loss of each.
    """

    domain: str
    document: int
    tokens: int
    loss: float
    class_tokens: tuple[int, ...] | None = None
    class_losses: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Results:
    """Rows of any number of cells.

    Attributes:
        outcomes: columns cell, task, item, outcome, sample, verdict and, where an item has several programs,
            further_samples and further_verdicts (see ``ItemOutcome``).
        losses: columns cell, domain, document, tokens, loss and, where known, class_tokens and class_losses (see
            ``DocumentLoss``).
    """

    outcomes: pd.DataFrame
    losses: pd.DataFrame

    @classmethod
    def of_cell(cls, cell: str, outcomes: Iterable[ItemOutcome], losses: Iterable[DocumentLoss] = ()) -> Results:
        """The rows of one cell, in the order given."""
        found, documents = (
            pd.DataFrame([(cell, *values) for values in map(attrgetter(*names[1:]), rows)], columns=names)
            for names, rows in ((OUTCOMES.names, outcomes), (LOSSES.names, losses))
        )
        several = any(len(further) for further in found[FURTHER[0]])
        found = found if several else found.drop(columns=FURTHER)
        told_apart = bool(documents["class_tokens"].notna().any())
        return cls(found, documents if told_apart else documents.drop(columns=list(BY_CLASS)))

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
        return cls(outcomes, read_losses(folder / LOSSES_FILE))

    def cells(self) -> list[str]:
        """Names of the cells, in order of appearance."""
        return list(dict.fromkeys([*self.outcomes["cell"], *self.losses["cell"]]))


def _stack(frames: Sequence[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    if not frames:
        return empty
    stacked = pd.concat(frames, ignore_index=True)
    for name in set(FURTHER) & set(stacked.columns):  # which not every part may have
        stacked[name] = [() if isinstance(further, float) else tuple(further) for further in stacked[name]]
    return stacked


def programs_of(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The same rows with one for each program of an item, the first of several first."""
    programs = outcomes.drop(columns=FURTHER, errors="ignore")
    if not set(FURTHER) <= set(outcomes.columns):
        return programs
    samples, verdicts = (
        pd.Series(
            [[first, *further] for first, further in zip(outcomes[one], outcomes[more], strict=True)],
            index=outcomes.index,
        )
        for one, more in (("sample", "further_samples"), ("verdict", "further_verdicts"))
    )
    return programs.assign(sample=samples, verdict=verdicts).explode(["sample", "verdict"], ignore_index=True)


def read_losses(path: Path) -> pd.DataFrame:
    """Read losses of documents, whose classes of token, where they are known, make up the document.

    Raises:
        ArtefactError: the file is missing, truncated or corrupt, or holds something else.
    """
    losses = LOSSES.read(path)
    there = set(BY_CLASS) & set(losses.columns)
    if there and there != set(BY_CLASS):
        raise ArtefactError(f"{path} has {there.pop()} and not both columns of classes of token; {_AGAIN}")
    known = losses.dropna(subset=list(BY_CLASS)) if there else losses.iloc[:0]
    if not len(known):
        return losses
    if any((known[name].map(len) != len(TOKEN_CLASSES)).any() for name in BY_CLASS):
        raise ArtefactError(f"{path} has other classes of token than the {len(TOKEN_CLASSES)} there are; {_AGAIN}")
    counts, parts = (np.stack(known[name].to_list()) for name in BY_CLASS)
    if (counts < 0).any() or (counts.sum(1) != known["tokens"]).any() or np.isnan(parts).any():
        raise ArtefactError(f"{path} has classes of token that don't make up their document; {_AGAIN}")
    return losses


def _check_programs(path: Path, outcomes: pd.DataFrame) -> None:
    if set(FURTHER) <= set(outcomes.columns):
        lengths = [outcomes[name].map(len) for name in FURTHER]
        if not lengths[0].equals(lengths[1]):
            raise ArtefactError(f"{path} has further verdicts and no program for each; {_AGAIN}")
    elif set(FURTHER) & set(outcomes.columns):
        raise ArtefactError(f"{path} has further programs or their verdicts, not both; {_AGAIN}")
