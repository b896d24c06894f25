"""Packages whose names load when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = """
from typing import TYPE_CHECKING
from codingspot.lazy import load_lazily
{eager}
if TYPE_CHECKING:
    from {name}.mend import mend, other

load_lazily(__name__)
"""


@pytest.fixture(params=["", "from {name} import mend as mend"], ids=["", "loaded before"])
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"lazy_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE.format(name=name, eager=request.param.format(name=name)))
    (folder / "mend.py").write_text("def mend(): return 1\n\nother = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_name_loads_when_it_is_used(package: str) -> None:
    found = importlib.import_module(package)
    assert found.other == 2
    assert found.mend() == 1
    with pytest.raises(AttributeError, match="has no attribute 'third'"):
        _ = found.third
    with pytest.raises(ImportError):
        exec(f"from {package} import third")


def test_a_module_does_not_hide_a_name_it_is_called_as(package: str) -> None:
    importlib.import_module(f"{package}.mend")
    assert importlib.import_module(package).mend() == 1
    assert sys.modules[f"{package}.mend"].mend() == 1


def test_names_of_the_package_are_there_whatever_was_imported_before() -> None:
    code = (
        "import codingspot.spot.density, codingspot.spot.overlap, codingspot.learning.relearning\n"
        "from codingspot.spot import density, overlap\n"
        "from codingspot.learning import relearning\n"
        "from codingspot.spot import RECIPES\n"
        "assert all(map(callable, (density, overlap, relearning)))\n"
        "assert {'sum', 'set_difference', 'learned'} <= set(RECIPES)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "package",
    ["codingspot", *(f"codingspot.{name}" for name in ("ablation", "bench", "corpus", "importance", "learning"))]
    + [f"codingspot.{name}" for name in ("models", "report", "spot", "study")],
)
def test_every_name_that_a_package_declares_is_there(package: str) -> None:
    found = importlib.import_module(package)
    assert sorted(found._homes) == sorted(found.__all__)
    for name in found.__all__:
        assert getattr(found, name) is not None
