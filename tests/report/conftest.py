"""Fixtures over synthetic runs."""

from pathlib import Path

import pytest
from synthetic_runs import RunMaker


@pytest.fixture(scope="session")
def maker() -> RunMaker:
    return RunMaker()


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The typical run, shared: tests must not change it."""
    return RunMaker().write(tmp_path_factory.mktemp("typical"))
