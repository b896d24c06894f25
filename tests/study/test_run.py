import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import fsspec
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

from codingspot import remote
from codingspot.cli.app import app
from codingspot.errors import FingerprintError, OutputError
from codingspot.evaluation.results import Results
from codingspot.report.build import build_report
from codingspot.sandbox import available
from codingspot.spot import Spot
from codingspot.storage import Storage
from codingspot.study import Plan, Study, Workers, load_study, run_study
from codingspot.study.directory import RunDirectory
from codingspot.study.ray_cluster import connected

pytestmark = pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")


class StopAfter:
    """Stops a run, as Ctrl-C would, once so many cells, or the stage ``beginning``, were begun."""

    def __init__(self, cells: int, beginning: str = "original") -> None:
        self.left, self.beginning = cells, beginning
        self.begun: list[str] = []

    def start(self, total: float) -> None:
        self.total = total

    def stage(self, text: str) -> None:
        if "-k" in text or text == self.beginning:
            self.begun.append(text)
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    def advance(self, units: float) -> None:
        assert units >= 0


@pytest.fixture(scope="module")
def every() -> StopAfter:
    return StopAfter(99)


@pytest.fixture(scope="module")
def whole(small_study: Study, every: StopAfter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, heard by ``every``: tests leave it as it is."""
    return run_study(small_study, tmp_path_factory.mktemp("whole") / "run", progress=every).path


def test_run_stopped_and_resumed_is_byte_identical_and_repeats_no_cell(
    small_study: Study, whole: Path, every: StopAfter, tmp_path: Path
):
    stopped = tmp_path / "stopped"
    first, second = StopAfter(3), StopAfter(99)
    with pytest.raises(KeyboardInterrupt):
        run_study(small_study, stopped, progress=first)
    run_study(small_study, stopped, progress=second)
    assert first.begun[:-1] + second.begun == every.begun
    for name in ("results.parquet", "losses.parquet", "plan.json"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_a_run_at_a_url_that_was_killed_goes_on_on_another_machine_and_is_that_of_a_folder(
    small_study: Study, whole: Path, every: StopAfter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed when half of a cell was sent: nothing that was sent whole is computed again."""
    url, put = "memory://bucket/run", Storage.put

    def killed(self: Storage, path: Path, name: str) -> None:
        if name == f"cells/{every.begun[2]}/results.parquet":
            raise KeyboardInterrupt
        put(self, path, name)

    listeners = StopAfter(99), StopAfter(99)
    for number, listener in enumerate(listeners):
        monkeypatch.setenv(remote.CACHE, str(tmp_path / str(number)))
        with monkeypatch.context() as patch:
            if number == 0:
                patch.setattr(Storage, "put", killed)
            place = remote.local_path(url)
            with suppress(KeyboardInterrupt):
                run_study(small_study, place, progress=listener)
        remote.close(place)
    assert [each.begun for each in listeners] == [every.begun[:3], every.begun[2:]]

    def files(folder: Path) -> dict[str, bytes]:
        return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}

    memory = fsspec.filesystem("memory")
    there = {path.removeprefix("/bucket/run/"): memory.cat_file(path) for path in memory.find("/bucket/run")}
    assert there == files(whole)
    assert files(place).items() < there.items()  # what of the scores was not read again is not here
    monkeypatch.setenv(remote.CACHE, str(tmp_path / "reader"))
    result = CliRunner().invoke(app, ["report", url])
    place = remote.local_path(url)
    remote.close(place)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"Report: {url}/report.html")
    assert memory.cat_file("/bucket/run/report.html") == (place / "report.html").read_bytes()
    assert not list((place / "scores").glob("*.safetensors"))  # a report reads none
    memory.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster on this machine, which this process uses too."""
    with connected(Workers(count=2, threads=1)):
        import ray

        yield ray.get_runtime_context().gcs_address


class KillsAWorker(StopAfter):
    """Kills a worker that is at a cell once the last one is begun, as a machine that fails would."""

    def __init__(self) -> None:
        super().__init__(99)
        self.killed = False

    def stage(self, text: str) -> None:
        super().stage(text)
        until = time.monotonic() + 10
        while text == "blocks-k1" and not self.killed and time.monotonic() < until:
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::_Worker.take"):
                    process.kill()
                    self.killed = True
                    break


def test_a_run_in_workers_whose_driver_and_then_a_worker_are_killed_is_byte_identical(
    small_study: Study, whole: Path, every: StopAfter, cluster: str, tmp_path: Path
):
    study, out = tmp_path / "small.yaml", tmp_path / "run"
    study.write_text(small_study.to_yaml())
    command = [sys.executable, "-m", "codingspot", "run", study, "--out", out, "--workers", "1", "--ray", cluster]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as driver:
        while driver.poll() is None and len(list((out / "cells").glob("[!.]*"))) < 2:
            time.sleep(0.05)
        driver.kill()
        assert driver.stdout is not None
        said = driver.stdout.read().decode()
    assert "ray" not in said.lower()
    assert len(list((out / "cells").glob("[!.]*"))) < 8, said

    killing = KillsAWorker()
    run_study(small_study, out, progress=killing, workers=Workers(count=2, threads=1))
    assert killing.killed
    assert len(killing.begun) == len(set(killing.begun)) + 1
    assert set(killing.begun) < set(every.begun)
    made = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert len(made) > 30
    assert [path for path in made if (whole / path).read_bytes() != (out / path).read_bytes()] == []


def test_run_directory_holds_what_the_plan_says(whole: Path):
    plan = Plan.model_validate_json((whole / "plan.json").read_text())
    results = Results.read(whole)
    assert results.cells() == [cell.name for cell in plan.cells]
    assert set(results.losses["domain"]) == {"go", "python", "english"}
    held_out = {domain.name for domain in plan.domains if domain.held_out}
    assert held_out == {"python"}
    density = pd.read_parquet(whole / "analysis" / "density.parquet")
    selected = density.groupby(["spot", "k_percent"])["selected"].sum()
    for cell in plan.cells:
        if cell.spot and not cell.control:
            assert selected[cell.spot, cell.k_percent] == cell.parameters
    blocks = density[density["spot"] == "blocks"]
    assert blocks.loc[~blocks["block"].isin(["attention", "mlp"]), "selected"].sum() == 0
    assert not (whole / "scratch").exists()
    assert {"reduction", "aggregation", "budget"} <= set(
        pd.read_parquet(whole / "analysis" / "agreement.parquet")["comparison"]
    )


def test_an_edit_that_breaks_the_model_is_a_result(small_study: Study, tmp_path: Path):
    """Its items have outcome 0 and say why, its losses are infinite, and the cells after it are as if alone, also
    where a run that is resumed begins with it."""
    spots = [
        {"name": "dead", "k_percent": [0.01], "edit": "scale", "edit_parameters": {"alpha": 1e38}},
        {"name": "spot", "k_percent": [0.01]},
    ]
    for name, kept in {"both": spots, "alone": spots[1:]}.items():
        once = {**small_study.model_dump(), "scoring": {**small_study.scoring.model_dump(), "draws": 1}}
        study = Study.model_validate({**once, "spots": kept, "analyses": []})
        if name == "both":
            with pytest.raises(KeyboardInterrupt):
                run_study(study, tmp_path / name, progress=StopAfter(1))
        run_study(study, tmp_path / name)
    build_report(tmp_path / "both")
    both, alone = Results.read(tmp_path / "both"), Results.read(tmp_path / "alone")
    dead = both.outcomes[both.outcomes["cell"] == "dead-k0.01"]
    assert set(dead["outcome"]) == {0.0}
    assert set(dead["verdict"]) == {"non-finite"}
    assert set(both.losses[both.losses["cell"] == "dead-k0.01"]["loss"]) == {math.inf}
    for cell in ("original", "spot-k0.01"):
        for one, other in ((both.outcomes, alone.outcomes), (both.losses, alone.losses)):
            first, second = (table[table["cell"] == cell].reset_index(drop=True) for table in (one, other))
            pd.testing.assert_frame_equal(first, second, check_exact=True)

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    summary = json.loads((tmp_path / "both" / "summary.json").read_text(), parse_constant=no_constant)
    (cell,) = (cell for cell in summary if cell["cell"] == "dead-k0.01")
    assert set(cell["perplexity"].values()) == {None}
    assert cell["code"] == 0


def test_controls_avoid_the_spot(whole: Path):
    folder = whole / "spots"
    spot = set(Spot.load(folder / "paper.safetensors").positions.tolist())
    for control in ("uniform", "matched"):
        drawn = Spot.load(folder / f"paper-{control}-s3.safetensors").positions.tolist()
        assert len(drawn) == len(spot)
        assert not spot & set(drawn)


def test_another_corpus_is_refused(small_study: Study, tmp_path: Path, corpus_folder: Path):
    mine = shutil.copytree(corpus_folder, tmp_path / "corpus")
    section = small_study.corpus.model_copy(update={"source": str(mine)})
    study = small_study.model_copy(update={"corpus": section})
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path / "run", progress=StopAfter(0, beginning="scoring parameters"))
    shutil.copy(mine / "python.jsonl", mine / "go.jsonl")
    with pytest.raises(FingerprintError, match="corpus"):
        run_study(study, tmp_path / "run")


def test_a_run_that_failed_before_it_began_is_begun_anew(small_study: Study, tmp_path: Path):
    RunDirectory.claim(tmp_path / "run", small_study)
    other = small_study.model_copy(update={"name": "other"})
    RunDirectory.claim(tmp_path / "run", other)
    assert load_study(tmp_path / "run" / "study.yaml") == other
    RunDirectory(tmp_path / "run").claim_inputs(weights="a")
    with pytest.raises(FingerprintError, match="differs in name"):
        RunDirectory.claim(tmp_path / "run", small_study)


def test_a_file_is_no_run_directory(small_study: Study, tmp_path: Path):
    (tmp_path / "letter").write_text("Dear mother")
    with pytest.raises(FingerprintError, match="not a run directory"):
        RunDirectory.claim(tmp_path / "letter", small_study)


def test_a_folder_that_is_no_run_is_refused(small_study: Study, tmp_path: Path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother.txt").write_text("Dear mother")
    with pytest.raises(FingerprintError, match="not a run directory"):
        run_study(small_study, tmp_path / "letters")


def test_two_runs_in_one_directory_do_not_meet(small_study: Study, tmp_path: Path):
    class Second(StopAfter):
        def stage(self, text: str) -> None:
            with ThreadPoolExecutor(1) as pool, pytest.raises(OutputError, match="is in use by another"):
                pool.submit(run_study, small_study, tmp_path / "run").result()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(small_study, tmp_path / "run", progress=Second(0))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"manifest.json", "study.yaml"}


def test_the_users_study_file_is_not_taken_for_a_run(small_study: Study, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "study.yaml").write_text(small_study.to_yaml())
    with pytest.raises(OutputError, match=r"study\.yaml"):
        run_study(small_study.model_copy(update={"name": "other"}), mine)
    assert (mine / "study.yaml").read_text() == small_study.to_yaml()
