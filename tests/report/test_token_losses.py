"""Which tokens the loss rises on: told from a run's losses, at the dose judged, beside its matched controls."""

from pathlib import Path

import pytest
from synthetic_runs import DOMAINS, RunMaker

from codingspot.corpus.token_classes import TOKEN_CLASSES
from codingspot.errors import ArtefactError
from codingspot.evaluation.results import LOSSES, Results
from codingspot.report.run_files import read_run
from codingspot.report.sections import analysis_sections
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.table import Number

TITLE = "Which tokens does the loss rise on?"
CLOSING, NAME = TOKEN_CLASSES.index("closing bracket"), TOKEN_CLASSES.index("name")


def told(losses, spot: float, control: float):
    """Documents of 10 closing brackets and 30 names, whose loss rises on brackets by so many nats a token in code."""
    tokens, rows = [0] * len(TOKEN_CLASSES), []
    tokens[CLOSING], tokens[NAME] = 10, 30
    kinds = {domain.name: domain.kind for domain in DOMAINS}
    for cell, domain in zip(losses["cell"], losses["domain"], strict=True):
        rise = 0.0 if cell == "original" or kinds[domain] == "general" else control if "matched" in cell else spot
        apart = [0.0] * len(TOKEN_CLASSES)
        apart[CLOSING], apart[NAME] = 10 * (0.5 + rise), 30 * (2.0 + rise / 9)
        rows.append(apart)
    return losses.assign(
        tokens=40, loss=[sum(apart) for apart in rows], class_tokens=[tokens] * len(losses), class_losses=rows
    )


def sections(folder: Path):
    run = read_run(folder)
    summary = summarise(run)
    return {each.title: each for each in analysis_sections(run, summary, judge_all(summary))}


@pytest.fixture
def folder(small: RunMaker, tmp_path: Path) -> Path:
    return small.write(tmp_path / "run")


def test_the_rise_of_each_class(folder: Path) -> None:
    results = Results.read(folder)
    LOSSES.write(folder / "losses.parquet", told(results.losses, spot=3.0, control=0.25))
    section = sections(folder)[TITLE]
    assert "by +1.00 nats a token: by +3.00 on closing brackets, and by +0.33 on names." in section.reading
    (table,) = section.tables
    rows = {row.values[0]: row.values[1:] for row in table.rows}
    assert list(rows) == ["name", "closing bracket", "all"]
    assert rows["all"][:3] == (Number(100.0), Number(1.625), Number(*[pytest.approx(1.0)] * 3))
    share, original, rise, of_rise, matched = rows["closing bracket"][:5]
    assert (share, original) == (Number(25.0), Number(0.5))
    assert rise == Number(pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0))  # alike in every document
    assert of_rise == Number(pytest.approx(75.0))
    assert matched == Number(pytest.approx(0.25), pytest.approx(0.25), pytest.approx(0.25))
    assert rows["closing bracket"][8] == Number(None)  # of no rise
    assert rows["closing bracket"][7] == Number(pytest.approx(0.0), pytest.approx(0.0), pytest.approx(0.0))


def test_a_run_that_does_not_tell_tokens_apart_shows_nothing(folder: Path) -> None:
    assert TITLE not in sections(folder)


@pytest.mark.parametrize("of", ["original", "paper"])
def test_cells_evaluated_before_tokens_were_told_apart_are_left_out(folder: Path, of: str) -> None:
    losses = told(Results.read(folder).losses, spot=3.0, control=0.25)
    before = losses["cell"].str.startswith(of) & ~losses["cell"].str.contains("matched")
    for column in ("class_tokens", "class_losses"):
        losses[column] = losses[column].where(~before, None)
    LOSSES.write(folder / "losses.parquet", losses)
    shown = sections(folder).get(TITLE)
    assert shown is None or not shown.tables


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("class_tokens", [40]),
        ("class_tokens", [0] * len(TOKEN_CLASSES)),
        ("class_tokens", [41, -1, *[0] * (len(TOKEN_CLASSES) - 2)]),
        ("class_losses", [float("nan")] * len(TOKEN_CLASSES)),
        ("class_losses", None),
    ],
)
def test_classes_that_do_not_make_up_their_document_are_refused(folder: Path, column: str, values) -> None:
    losses = told(Results.read(folder).losses, spot=3.0, control=0.25)
    if values is None:
        losses = losses.drop(columns=column)
    else:
        losses[column] = [values] * len(losses)
    LOSSES.write(folder / "losses.parquet", losses)
    with pytest.raises(ArtefactError, match=r"losses\.parquet has .*classes of token"):
        read_run(folder)


def test_a_model_that_broke_is_said_nothing_of(folder: Path) -> None:
    """Its losses are infinite: no class has a share of them."""
    results = Results.read(folder)
    LOSSES.write(folder / "losses.parquet", told(results.losses, spot=float("inf"), control=0.25))
    section = sections(folder)[TITLE]
    assert "Under paper" not in section.reading
    assert section.tables[0].rows[0].values[4].value is None
