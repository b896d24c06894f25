"""Fixtures over synthetic runs."""

import shutil
from pathlib import Path

import pytest
from synthetic_runs import DOSES, RunMaker

from codingspot.report import build_report


@pytest.fixture(scope="session")
def maker() -> RunMaker:
    return RunMaker()


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The typical run, shared: tests must not change it."""
    return RunMaker().write(tmp_path_factory.mktemp("typical"))


@pytest.fixture(scope="session")
def built_run(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its report, shared: tests must not change it."""
    copy = shutil.copytree(run_directory, tmp_path_factory.mktemp("built") / "run")
    build_report(copy)
    return copy


@pytest.fixture(scope="session")
def small(maker: RunMaker) -> RunMaker:
    """Makes runs of one spot at two doses: what they draw is drawn soon."""
    return maker.with_(spots=(("paper", "sum", "all", DOSES[-2:]),), controls=("matched",))


@pytest.fixture(scope="session")
def unedited(maker: RunMaker) -> RunMaker:
    """Makes runs that edit nothing: their reports have a table, no picture, and are written at once."""
    return maker.with_(spots=(), analysis=False)
