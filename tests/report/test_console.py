"""What a terminal 80 columns wide shows at the end of a run."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_runs import BEHAVIOURS, RunMaker

from codingspot.errors import ArtefactError
from codingspot.report import console_report


def shown(folder: Path, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    for part in console_report(folder):
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_fits_in_80_columns_without_cutting(behaviour: str, maker: RunMaker, tmp_path: Path):
    text = shown(maker.with_(behaviour=BEHAVIOURS[behaviour]).write(tmp_path))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert text == shown(tmp_path, 80)


def test_ends_with_the_paper_s_three_tables_and_two_sentences(run_directory: Path):
    text = shown(run_directory)
    places = [text.index(f"Table {number}") for number in (1, 2, 3)]
    assert places == sorted(places)
    assert text.index("By the paper's recipe") > places[-1]
    assert "M_s" in text
    assert text.count("Matched") >= 5


def test_a_run_directory_that_is_not_one_is_named(tmp_path: Path):
    with pytest.raises(ArtefactError, match="nothing-here is not a run directory"):
        console_report(tmp_path / "nothing-here")
