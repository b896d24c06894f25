"""Whatever is wrong with an artefact, who reads it is told so in one line; never a traceback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import OF_VIEWS, STUDY
from typer.testing import CliRunner

from codingspot.analysis import saved_inputs
from codingspot.analysis_registry import analysis_schemas
from codingspot.analysis_tables import TABLES, read_table
from codingspot.cli.app import app
from codingspot.corpus import Corpus
from codingspot.errors import CodingSpotError
from codingspot.evaluation.results import Results
from codingspot.importance import ScoreStore
from codingspot.report.run_files import read_run
from codingspot.report.summary import summarise
from codingspot.spot import Spot
from codingspot.study import load_study
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory

_PROGRESS = re.compile(r"\d+:\d\d:\d\d ")
"""Before what a command without a terminal says of its progress."""


@pytest.fixture(autouse=True)
def _nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds, and nothing is read for them alone."""
    monkeypatch.setattr("codingspot.report.page.to_svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr("codingspot.report.build.save_picture", lambda *_: None)


def _select(folder: Path) -> None:
    store = ScoreStore.open(folder / "scores")
    for domain in store.domains:
        for name in store.layout.names:
            store.magnitude(domain.name, name, 0, 1)


def _claim(folder: Path) -> None:
    RunDirectory.claim(folder / "run", Study.model_validate(STUDY)).claim_inputs(weights="a", corpus="b")


def _views(folder: Path) -> None:
    for view in OF_VIEWS:
        saved_inputs(folder / "run", view)


READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "score store": (("scores/*",), _select),
    "spot": (("spot.safetensors",), lambda folder: Spot.load(folder / "spot.safetensors")),
    "corpus": (("corpus/*",), lambda folder: Corpus.load(folder / "corpus")),
    "results": (("run/*.parquet",), lambda folder: Results.read(folder / "run")),
    "run": (
        ("run/*.parquet", "run/plan.json", "run/study.yaml", "run/scores/manifest.json"),
        lambda folder: summarise(read_run(folder / "run")),
    ),
    "claimed run": (("run/inputs.json", "run/study.yaml"), _claim),
    "study": (("study.yaml",), lambda folder: load_study(folder / "study.yaml")),
    "analyses": (("run/analysis/*.json",), _views),
    "tables": (
        ("run/analysis/*.parquet",),
        lambda folder: [
            read_table(folder / "run" / "analysis", stem, schemas)
            for schemas in (TABLES, analysis_schemas(), *OF_VIEWS.values())
            for stem in schemas
            if stem[-1] != "-"
        ],
    ),
}
"""Kind of artefact: its files, and what reads them."""

COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "spot": (("scores/*",), ("spot", "{}/scores", "--out", "{}/out/found.safetensors", "--k", "5")),
    "export": (("spot.safetensors",), ("export", "model", "{}/spot.safetensors", "{}/model", "--out", "{}/out/edited")),
    "compare": (("run/*.parquet", "run/plan.json", "run/study.yaml"), ("compare", "{}/run")),
    "report": (
        ("run/*.parquet", "run/plan.json", "run/study.yaml", "run/scores/manifest.json", "run/analysis/*.parquet"),
        ("report", "{}/run"),
    ),
    # The folder isn't one of a run, so a study that is read whole is refused before the work.
    "run": (("study.yaml",), ("run", "{}/study.yaml", "--out", "{}/model")),
    "score": (("corpus/*",), ("score", "{}/model", "--corpus", "{}/corpus", "--general", "english", "--held-out",
                              "rust", "--token-budget", "4", "--sequence-length", "4", "--out", "{}/out/scored")),
}  # fmt: skip
"""Command: the files that are damaged, and its arguments."""


def _file(folder: Path, patterns: tuple[str, ...], random: Random) -> Path:
    return random.choice(sorted(file for pattern in patterns for file in folder.glob(pattern)))


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_a_reader_of_a_damaged_artefact_succeeds_or_says_why_in_one_line(kind: str, random: Random, made: Path):
    patterns, read = READERS[kind]
    with damaged(_file(made, patterns, random), random):
        said = ""
        try:
            read(made)
        except CodingSpotError as error:
            said = str(error)
        assert "\n" not in said


@pytest.mark.parametrize("command", COMMANDS)
@settings(max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_a_command_on_a_damaged_artefact_succeeds_or_fails_with_one_line(command: str, random: Random, made: Path):
    patterns, arguments = COMMANDS[command]
    with damaged(_file(made, patterns, random), random):
        result = CliRunner().invoke(app, [each.format(made) for each in arguments], env={"TERM": "dumb"})
    shutil.rmtree(made / "out", ignore_errors=True)
    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        told = [line for line in result.stderr.strip().splitlines() if not _PROGRESS.match(line)]
        assert len(told) == 1
        assert "Traceback" not in result.stderr
