"""Benchmarks run in this process: starting Python and importing torch takes longer than what most of them do here."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Gives a benchmark by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def call(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a benchmark by its name with options, as a shell does."""

    def call(name: str, *options: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *options])
        script(name).main()

    return call
