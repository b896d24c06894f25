"""What evaluation produces: one row per (cell, task, item) and one per (cell, domain, document), saved as Parquet.

The same rows give the same bytes: column order, types, compression and metadata are fixed, and nothing about when or
where a file was written is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from codingspot.errors import ArtefactError
from codingspot.outputs import check_file, new_file

OUTCOMES_FILE = "results.parquet"
LOSSES_FILE = "losses.parquet"

OUTCOME_SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("task", pa.string()),
        ("item", pa.int64()),
        ("outcome", pa.float64()),
        ("sample", pa.string()),
        ("verdict", pa.string()),
    ]
)
LOSS_SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("domain", pa.string()),
        ("document", pa.int64()),
        ("tokens", pa.int64()),
        ("loss", pa.float64()),
    ]
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
        return cls(
            pd.DataFrame(items, columns=OUTCOME_SCHEMA.names), pd.DataFrame(documents, columns=LOSS_SCHEMA.names)
        )

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
        tables = ((self.outcomes, OUTCOME_SCHEMA, OUTCOMES_FILE), (self.losses, LOSS_SCHEMA, LOSSES_FILE))
        for _, schema, file in tables:
            check_file(folder / file, partial(_has_schema, schema), force=force)
        for frame, schema, file in tables:
            _write(frame, schema, folder / file, force=force)

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read what ``write`` wrote.

        Raises:
            ArtefactError: a file is missing, truncated or corrupt, or holds something else.
        """
        return cls(_read(folder / OUTCOMES_FILE, OUTCOME_SCHEMA), _read(folder / LOSSES_FILE, LOSS_SCHEMA))

    def cells(self) -> list[str]:
        """Names of the cells, in order of appearance."""
        return list(dict.fromkeys([*self.outcomes["cell"], *self.losses["cell"]]))


def _stack(frames: Sequence[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else empty


def _write(frame: pd.DataFrame, schema: pa.Schema, path: Path, *, force: bool) -> None:
    # Arrays one by one: a table made from the frame at once would carry pandas' version and index in its metadata.
    arrays = [pa.array(frame[field.name].tolist(), type=field.type) for field in schema]
    with new_file(path, partial(_has_schema, schema), force=force) as temporary:
        pq.write_table(pa.table(arrays, schema=schema), temporary, compression="zstd", compression_level=3)


def _has_schema(schema: pa.Schema, path: Path) -> bool:
    try:
        return bool(pq.read_schema(path).equals(schema))
    except (pa.ArrowException, OSError):
        return False


def _read(path: Path, schema: pa.Schema) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist; run the study that makes it, or correct the path") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ArtefactError(f"{path} is truncated or corrupt ({reason}); delete it and run the study again") from None
    if not table.schema.equals(schema):
        raise ArtefactError(
            f"{path} has columns {', '.join(table.schema.names)}, not those of a result table; "
            "delete it and run the study again"
        )
    frame: pd.DataFrame = table.to_pandas()
    return frame
