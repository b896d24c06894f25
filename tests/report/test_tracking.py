"""Cells in an experiment tracker: what is handed to its library."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from synthetic_runs import RunMaker
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.errors import MissingPackageError, OutputError, StudyError
from codingspot.report.run_files import read_run
from codingspot.report.tracking import check_tracker, track


class Library(ModuleType):
    """Stands in for a tracker's library of wandb's interface."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.begun: dict[str, object] = {}
        self.logged: list[dict[str, object]] = []
        self.finished = False

    def init(self, **settings: object) -> None:
        self.begun = settings

    def log(self, record: dict[str, object]) -> None:
        self.logged.append(record)

    def finish(self) -> None:
        self.finished = True


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_every_cell_is_a_step(name: str, maker: RunMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = maker.write(tmp_path / "run")
    library = Library(name)
    monkeypatch.setitem(sys.modules, name, library)
    track(run, name)
    cells = [cell.name for cell in read_run(run).plan.cells]
    assert [record["cell"] for record in library.logged] == cells
    assert library.begun["name"] == "demo"
    assert library.begun.get("mode") == ("offline" if name == "wandb" else None)
    assert {"tasks/testbed_humaneval", "perplexity/python", "k_percent"} <= set(library.logged[1])
    assert all(isinstance(value, float) for key, value in library.logged[1].items() if key != "cell")
    assert library.finished


def test_a_library_that_refuses_is_one_line(maker: RunMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    library = Library("wandb")
    monkeypatch.setattr(library, "init", lambda **_: 1 / 0)
    monkeypatch.setitem(sys.modules, "wandb", library)
    with pytest.raises(OutputError, match=r"wandb could not log .*the run itself is whole"):
        track(maker.write(tmp_path / "run"), "wandb")


def test_what_cannot_track_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(StudyError, match="no tracker 'tensorboard'; use one of wandb, trackio, mlflow"):
        check_tracker("tensorboard")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'codingspot\[mlflow\]'$"):
        check_tracker("mlflow")
    refused = CliRunner().invoke(app, ["report", str(tmp_path), "--track", "mlflow"])
    assert refused.output.startswith("error: the package mlflow is needed here")
