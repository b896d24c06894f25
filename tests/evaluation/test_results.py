"""Result tables: the same rows give the same bytes, and come back as they were."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codingspot.errors import ArtefactError
from codingspot.evaluation.results import LOSSES_FILE, OUTCOMES_FILE, DocumentLoss, ItemOutcome, Results, programs_of


def _results(cell: str = "original") -> Results:
    return Results.of_cell(
        cell,
        [
            ItemOutcome("testbed_events", 0, 1.0, "2"),
            ItemOutcome("testbed_humaneval", 1, 0.0, "\n    return é\n", "syntax error"),
        ],
        [DocumentLoss("python", 0, 12, 3.25), DocumentLoss("python", 1, 7, math.inf)],
    )


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    results = _results()
    results.write(tmp_path)
    read = Results.read(tmp_path)
    pd.testing.assert_frame_equal(read.outcomes, results.outcomes)
    pd.testing.assert_frame_equal(read.losses, results.losses)
    assert list(read.outcomes) == ["cell", "task", "item", "outcome", "sample", "verdict"]
    assert list(read.losses) == ["cell", "domain", "document", "tokens", "loss"]


def test_the_same_rows_give_the_same_bytes_however_they_were_made(tmp_path: Path) -> None:
    for cell in ("original", "edited"):
        _results(cell).write(tmp_path / cell)
    Results.concat([_results("original"), _results("edited")]).write(tmp_path / "direct")
    Results.concat([Results.read(tmp_path / cell) for cell in ("original", "edited")]).write(tmp_path / "resumed")
    for file in (OUTCOMES_FILE, LOSSES_FILE):
        assert (tmp_path / "direct" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()


def test_several_programs_of_an_item_are_columns_of_lists_where_there_are_some(tmp_path: Path) -> None:
    item = ItemOutcome("testbed_humaneval", 0, 0.5, "[1]", "passed", ("b", "c"), ("exception", "passed"))
    several = Results.of_cell("edited", [item])
    both = Results.concat([_results(), several])
    both.write(tmp_path / "both")
    read = Results.read(tmp_path / "both")
    assert [list(further) for further in read.outcomes["further_verdicts"]] == [[], [], ["exception", "passed"]]
    Results.concat([_results(), Results.concat([several])]).write(tmp_path / "again")
    Results.concat([read]).write(tmp_path / "resumed")
    for folder in ("again", "resumed"):
        assert (tmp_path / folder / OUTCOMES_FILE).read_bytes() == (tmp_path / "both" / OUTCOMES_FILE).read_bytes()
    programs = programs_of(read.outcomes)
    assert list(programs) == ["cell", "task", "item", "outcome", "sample", "verdict"]
    assert programs["sample"].tolist()[2:] == ["[1]", "b", "c"]
    assert programs["verdict"].tolist()[1:] == ["syntax error", "passed", "exception", "passed"]
    pd.testing.assert_frame_equal(programs_of(_results().outcomes), _results().outcomes)


def test_cells_are_listed_in_order() -> None:
    assert Results.concat([_results("b"), _results("a")]).cells() == ["b", "a"]


def test_a_cell_may_have_no_losses(tmp_path: Path) -> None:
    results = Results.of_cell("x", [ItemOutcome("t", 0, 0.5, "")])
    Results.concat([results]).write(tmp_path)
    assert Results.read(tmp_path).losses.empty
    assert Results.concat([]).cells() == []


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"results\.parquet does not exist"):
        Results.read(tmp_path)
    _results().write(tmp_path)
    whole = (tmp_path / LOSSES_FILE).read_bytes()
    (tmp_path / LOSSES_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtefactError, match=r"losses\.parquet is truncated or corrupt"):
        Results.read(tmp_path)
    pq.write_table(pa.table({"cell": ["x"]}), tmp_path / OUTCOMES_FILE)
    with pytest.raises(ArtefactError, match="has columns cell, not those"):
        Results.read(tmp_path)
