"""Tables on disk: the columns and types of each declared once, checked when it is written and when it is read.

The same rows give the same bytes: types, compression and metadata follow from the declaration, and nothing about when
or where a file was written is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from codingspot.errors import ArtefactError
from codingspot.files import atomic_path, reason

_ROUNDING = 1e-6
"""How far a number may lie outside its bounds: sums of shares are not exactly one."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: of the column.
        type: of its values; one of text, whole numbers, numbers, truth values or lists of these.
        optional: a value may be missing (of numbers: not a number).
        absent: the column itself may be missing.
        values: all the texts there may be; any where empty.
        low: the least number there may be.
        high: the largest.
    """

    name: str
    type: pa.DataType
    optional: bool = False
    absent: bool = False
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def fault(self, found: pa.ChunkedArray) -> str | None:
        """What is wrong with ``found``, a column as it is in a file; None where nothing is."""
        if len(found) and _kind(found.type) != _kind(self.type) and not self._converts(found):
            return f"holds {_kind(found.type)}, not {_kind(self.type)}"
        if not self.optional and (found.null_count or (_is_list(found.type) and pc.list_flatten(found).null_count)):
            return "has missing values"
        number = pa.types.is_floating(found.type)
        if number and not self.optional and pc.any(pc.is_nan(found)).as_py():
            return "holds what is not a number"
        if self.values and not set(pc.unique(found).to_pylist()) <= {*self.values, None}:
            other = next(value for value in pc.unique(found).to_pylist() if value not in (*self.values, None))
            return f"holds {other!r}, which is none of {', '.join(map(repr, self.values))}"
        bounds = pc.min_max(found).as_py() if self.low is not None or self.high is not None else {}
        for bound, worse in (("min", self.low), ("max", self.high)):
            value = bounds.get(bound)
            if value is None or worse is None or abs(value - worse) <= _ROUNDING:
                continue
            if value < worse if bound == "min" else value > worse:
                return f"holds {value}, {'below' if bound == 'min' else 'above'} {worse:g}"
        return None

    def _converts(self, found: pa.ChunkedArray) -> bool:
        """Whole numbers are numbers, and a column of nothing but missing values is of any type."""
        nothing = found.null_count == len(found)
        return nothing or bool(pa.types.is_floating(self.type) and pa.types.is_integer(found.type))


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_))


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    for is_kind, name in (
        (pa.types.is_integer, "whole numbers"),
        (pa.types.is_floating, "numbers"),
        (pa.types.is_boolean, "truth values"),
    ):
        if is_kind(type_):
            return name
    if _is_list(type_):
        return f"lists of {_kind(type_.value_type)}"
    return "text" if pa.types.is_string(type_) or pa.types.is_large_string(type_) else str(type_)


@dataclass(frozen=True)
class TableSchema:
    """A table as it is on disk: one row a combination of the columns ``key``, where it has some.

    Attributes:
        columns: in any order in a file, unless the table is ``closed``: then in this one.
        key: columns no two rows have the same values in.
        way_out: what to do about a file that is not such a table.
        closed: there are these columns and no others.
        pandas_types: the file says for pandas which of its types the columns had.
        level: of zstd compression; the library's own where None.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    way_out: str = "delete it and run the study again"
    closed: bool = False
    pandas_types: bool = False
    level: int | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    def is_of(self, path: Path) -> bool:
        """Whether a file is such a table."""
        try:
            self.read(path)
        except ArtefactError:
            return False
        return True

    def write(self, path: Path, frame: pd.DataFrame, *, ready: Callable[[], None] = lambda: None) -> None:
        """Write ``frame``, whole or not at all; its columns keep their order. ``ready`` may refuse at the last moment.

        Raises:
            ArtefactError: it is not such a table.
        """
        unknown = [str(name) for name in frame.columns if name not in self.names]
        if unknown:
            raise ArtefactError(f"{path} would have a column {unknown[0]!r} that its table doesn't declare; declare it")
        try:
            table = pa.Table.from_pandas(frame, schema=self._arrow(list(frame.columns)), preserve_index=False)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise ArtefactError(f"{path} would hold other types than its table declares ({reason(error)})") from None
        self._check(path, table)
        table = table if self.pandas_types else table.replace_schema_metadata(None)
        with atomic_path(path, ready=ready) as temporary:
            pq.write_table(table, temporary, compression="zstd", compression_level=self.level)

    def read(self, path: Path) -> pd.DataFrame:
        """Read a file that :meth:`write` wrote, or an older or newer version of this package.

        Raises:
            ArtefactError: the file is missing, truncated, corrupt, or not such a table; the message names the column.
        """
        if not path.exists():
            raise ArtefactError(f"{path} does not exist; run what makes it, or correct the path")
        try:
            with pq.ParquetFile(path) as file:
                table = file.read()
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise ArtefactError(f"{path} is truncated or corrupt ({reason(error)}); {self.way_out}") from None
        self._check(path, table)
        metadata = table.schema.metadata
        try:
            typed = table.select([name for name in table.column_names if name in self.names])
            typed = typed.cast(self._arrow(typed.column_names))
            frame: pd.DataFrame = typed.replace_schema_metadata(metadata).to_pandas()
        except Exception as error:  # what pandas makes of its own metadata in a corrupt file
            raise ArtefactError(f"{path} is corrupt ({reason(error)}); {self.way_out}") from None
        return frame

    def _arrow(self, names: Sequence[str]) -> pa.Schema:
        types = {column.name: column.type for column in self.columns}
        return pa.schema([(name, types[name]) for name in names])

    def _check(self, path: Path, table: pa.Table) -> None:
        found = table.column_names
        whole = [column.name for column in self.columns if column.name in found or not column.absent]
        if len(set(found)) < len(found) or (self.closed and found != whole):
            raise ArtefactError(f"{path} has columns {', '.join(found)}, not those of such a table; {self.way_out}")
        for column in self.columns:
            if column.name in found:
                fault = column.fault(table[column.name])
                if fault is not None:
                    raise ArtefactError(f"{path}: column {column.name} {fault}; {self.way_out}")
            elif not column.absent:
                raise ArtefactError(f"{path} has no column {column.name}; {self.way_out}")
        if self.key and table.group_by(list(self.key)).aggregate([]).num_rows < table.num_rows:
            raise ArtefactError(f"{path} has two rows with the same {', '.join(self.key)}; {self.way_out}")


def check_known(path: Path, frame: pd.DataFrame, column: str, known: Collection[str], way_out: str) -> None:
    """Make sure that every text of a column is one of ``known``.

    Raises:
        ArtefactError: one is not.
    """
    unknown = [value for value in frame[column].dropna().unique().tolist() if value not in known]
    if unknown:
        raise ArtefactError(f"{path} has rows of the {column} {unknown[0]!r}, which its run doesn't have; {way_out}")


def text(name: str, *values: str, optional: bool = False, absent: bool = False) -> Column:
    """A column of texts, of ``values`` where some are given."""
    return Column(name, pa.large_string(), optional, absent, values)


def whole(name: str, low: float | None = 0, *, optional: bool = False, absent: bool = False) -> Column:
    """A column of whole numbers, from ``low`` on."""
    return Column(name, pa.int64(), optional, absent, low=low)


def number(
    name: str, low: float | None = None, high: float | None = None, *, optional: bool = False, absent: bool = False
) -> Column:
    """A column of numbers from ``low`` to ``high``."""
    return Column(name, pa.float64(), optional, absent, low=low, high=high)


def truth(name: str) -> Column:
    """A column of truth values."""
    return Column(name, pa.bool_())


def texts(*names: str) -> Iterator[Column]:
    """Columns of any texts."""
    return map(text, names)


def share(name: str, *, absent: bool = False) -> Column:
    """A share, rate, index or probability: from 0 to 1, or not defined."""
    return number(name, 0, 1, optional=True, absent=absent)


def figure(name: str, low: float | None = None, *, absent: bool = False) -> Column:
    """A number from ``low`` on, or not defined."""
    return number(name, low, optional=True, absent=absent)


def correlation(name: str) -> Column:
    """From -1 to 1, or not defined."""
    return number(name, -1, 1, optional=True)


def k_percent() -> Column:
    """The dose, in percent of all parameters."""
    return number("k_percent", 0, 100)


def domain_kind(name: str = "kind") -> Column:
    """Of a domain."""
    return text(name, "code", "general")


TENSOR = (text("tensor"), whole("layer", optional=True), text("block"), text("kind"), whole("parameters"))
"""Columns that say which tensor a row is of: outside the layers it has none."""


def analysis_table(*columns: Column, key: tuple[str, ...] = ()) -> TableSchema:
    """A table of an analysis of a study."""
    return TableSchema(columns, key, pandas_types=True)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as plain data; what is not a number is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): _plain(value) for key, value in row.items()} for row in plain.to_dict("records")]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
