"""A table is checked against its declaration when it is written and when it is read."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codingspot.analysis_registry import analysis_schemas
from codingspot.analysis_tables import TABLES, read_table, write_table
from codingspot.errors import ArtefactError
from codingspot.tables import TableSchema, number, text, truth, whole
from codingspot.views import VIEWS, views

SCHEMA = TableSchema(
    (text("who", "spot", "control"), whole("layer", optional=True), number("share", 0, 1), truth("right")),
    key=("who", "layer"),
)
ROWS = pd.DataFrame(
    {"who": ["spot", "control"], "layer": pd.array([1, None], "Int64"), "share": [0.5, 1.0], "right": [True, False]}
)


def _changed(**columns: object) -> pa.Table:
    table = pa.Table.from_pandas(ROWS, preserve_index=False)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    SCHEMA.write(tmp_path / "a.parquet", ROWS)
    read = SCHEMA.read(tmp_path / "a.parquet")
    assert read["layer"].isna().tolist() == [False, True]
    assert read.drop(columns="layer").equals(ROWS.drop(columns="layer").astype({"who": read["who"].dtype}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (_changed(who=["spot", "nobody"]), "column who holds 'nobody', which is none of 'spot', 'control'"),
        (_changed(who=[1, 2]), "column who holds whole numbers, not text"),
        (_changed(who=["spot", None]), "column who has missing values"),
        (_changed(layer=["1", "2"]), "column layer holds text, not whole numbers"),
        (_changed(layer=[1.5, 2.0]), "column layer holds numbers, not whole numbers"),
        (_changed(layer=[-1, 2]), "column layer holds -1, below 0"),
        (_changed(layer=[True, False]), "column layer holds truth values, not whole numbers"),
        (_changed(share=[0.5, 1.5]), "column share holds 1.5, above 1"),
        (_changed(share=[0.5, float("nan")]), "column share holds what is not a number"),
        (_changed(share=[[0.5], [0.5]]), "column share holds list"),
        (_changed(right=["yes", "no"]), "column right holds text, not truth values"),
        (_changed(who=["spot", "spot"], layer=[1, 1]), "two rows with the same who, layer"),
        (_changed().drop_columns(["share"]), "has no column share"),
    ],
)
def test_a_table_that_is_not_as_declared_is_refused_in_one_line(table: pa.Table, message: str, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ArtefactError, match=r"a\.parquet") as caught:
        SCHEMA.read(tmp_path / "a.parquet")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_declared_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="column 'other' that its table doesn't declare"):
        SCHEMA.write(tmp_path / "a.parquet", ROWS.assign(other=1))
    with pytest.raises(ArtefactError, match=r"column share holds 2\.0, above 1"):
        SCHEMA.write(tmp_path / "a.parquet", ROWS.assign(share=2.0))
    with pytest.raises(ArtefactError, match="has no column share"):
        SCHEMA.write(tmp_path / "a.parquet", ROWS.drop(columns="share"))
    assert not list(tmp_path.iterdir())


def test_whole_numbers_are_numbers_and_an_empty_table_has_its_types(tmp_path: Path) -> None:
    pq.write_table(_changed(share=[0, 1]), tmp_path / "a.parquet")
    assert SCHEMA.read(tmp_path / "a.parquet")["share"].tolist() == [0.0, 1.0]
    pq.write_table(_changed().slice(0, 0), tmp_path / "a.parquet")
    assert SCHEMA.read(tmp_path / "a.parquet")["share"].dtype == "float64"


def test_folders_named_like_columns_add_none(tmp_path: Path) -> None:
    SCHEMA.write(tmp_path / "who=me" / "a.parquet", ROWS)
    assert SCHEMA.read(tmp_path / "who=me" / "a.parquet")["who"].tolist() == ["spot", "control"]


def test_a_type_does_not_depend_on_the_rows(tmp_path: Path) -> None:
    rows = pd.DataFrame({"seed": [], "domain": [], "step": [], "loss": []})
    write_table(tmp_path, "finetuning_losses", rows, analysis_schemas())
    assert pq.read_schema(tmp_path / "finetuning_losses.parquet").field("step").type == pa.int64()
    assert read_table(tmp_path, "finetuning_losses", analysis_schemas()).empty


def test_every_table_of_a_run_names_each_column_once() -> None:
    of_views = [VIEWS.traits(name).load().schemas for name in views()]
    for schema in (schema for schemas in (TABLES, analysis_schemas(), *of_views) for schema in schemas.values()):
        assert len(set(schema.names)) == len(schema.names)
