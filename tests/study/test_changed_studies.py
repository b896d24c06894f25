"""A run directory whose study's evaluation, spots or grids change, and scores of another run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from codingspot.errors import FingerprintError
from codingspot.evaluation.results import Results
from codingspot.report import console_report
from codingspot.report.build import build_report
from codingspot.sandbox import available
from codingspot.spot import Spot
from codingspot.study import Study, run_study
from codingspot.study.directory import RunDirectory

pytestmark = pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")


class Stages:
    """Hears what is done, and may stop it."""

    def __init__(self, stop_at: str = "") -> None:
        self.seen: list[str] = []
        self._stop_at = stop_at

    def start(self, total: float) -> None:
        """Ignored."""

    def stage(self, text: str) -> None:
        self.seen.append(text)
        if text == self._stop_at:
            raise KeyboardInterrupt

    def advance(self, units: float) -> None:
        """Ignored."""

    @property
    def cells(self) -> list[str]:
        return [text for text in self.seen if text == "original" or "-k" in text]


SCORING = {"token_budget": 256, "sequence_length": 64, "draws": 1}
TASKS = {"code": ["testbed_humaneval"], "general": ["testbed_events"], "other": [], "limit": 4, "code_limit": 4}
SPOTS = [
    {"name": "paper", "k_percent": [0.0001, 0.01], "controls": ["matched"], "control_seeds": [3]},
    {"name": "dead", "k_percent": [0.01], "edit": "scale", "edit_parameters": {"alpha": 1e38}},
]


@pytest.fixture
def study(small_study: Study) -> Study:
    """Of the shipped model, which has code to lose."""
    sections = {"model": {"id": "testbed"}, "scoring": SCORING, "spots": SPOTS, "evaluation": TASKS}
    return _changed(small_study, **sections, analyses=["prediction"])


def _changed(study: Study, **sections: Any) -> Study:
    return Study.model_validate({**study.model_dump(exclude_unset=True), **sections})


def _run(study: Study, out: Path, **settings: Any) -> list[str]:
    stages = Stages(**settings)
    run_study(study, out, progress=stages)
    return stages.cells


def test_a_changed_study_recomputes_what_changed_and_keeps_the_rest(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    every = ["original", "paper-k0.0001", "paper-k0.01", "paper-matched-s3-k0.0001", "paper-matched-s3-k0.01"]
    assert _run(study, out) == [*every, "dead-k0.01"]
    first = (out / "results.parquet").read_bytes()
    scores = (out / "scores" / "manifest.json").stat().st_mtime_ns
    # A spot less: nothing is computed, its cell stays on disk and is in no table.
    fewer = _changed(study, spots=SPOTS[:1])
    assert _run(fewer, out) == []
    assert "dead-k0.01" not in Results.read(out).cells()
    assert Results.read(out / "cells" / "dead-k0.01").cells() == ["dead-k0.01"]
    # A dose more takes another prefix of the same order; the control is drawn outside the whole spot, and so anew.
    wider = _changed(fewer, spots=[{**SPOTS[0], "k_percent": [0.0001, 0.01, 1]}])
    assert _run(wider, out) == ["paper-k1", *(f"paper-matched-s3-k{k}" for k in ("0.0001", "0.01", "1"))]
    # Other items change every cell; what there was comes back with its study.
    other = _changed(study, evaluation={**TASKS, "limit": 3})
    assert _run(other, out) == [*every, "dead-k0.01"]
    assert len(Results.read(out).outcomes) == 6 * (3 + 4)
    assert _run(study, out) == []
    assert (out / "results.parquet").read_bytes() == first
    assert (out / "scores" / "manifest.json").stat().st_mtime_ns == scores
    build_report(out)


@pytest.mark.parametrize("name", ["scoring", "corpus"])
def test_other_scores_are_refused(study: Study, tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(study, tmp_path / "run", stop_at="scoring parameters")
    section = getattr(study, name)
    with pytest.raises(FingerprintError, match=rf"differs in {name}\.seed"):
        _run(study.model_copy(update={name: section.model_copy(update={"seed": 5})}), tmp_path / "run")


def test_scores_of_another_run_are_read_where_they_are(study: Study, tmp_path: Path) -> None:
    alone = _changed(study, spots=SPOTS[1:], evaluation={**TASKS, "code": [], "general": []})
    run_study(alone, tmp_path / "first")
    reused = alone.model_copy(
        update={"scoring": alone.scoring.model_copy(update={"reuse": str(tmp_path / "first")}), "name": "second"}
    )
    _run(reused, tmp_path / "second")
    assert not (tmp_path / "second" / "scores").exists()
    first, second = tmp_path / "first", tmp_path / "second"
    assert (second / "losses.parquet").read_bytes() == (first / "losses.parquet").read_bytes()
    spots = [Spot.load(run / "spots" / "dead.safetensors") for run in (first, second)]
    assert torch.equal(spots[0].positions, spots[1].positions)
    build_report(tmp_path / "second")
    seeded = reused.model_copy(update={"scoring": reused.scoring.model_copy(update={"seed": 1})})
    with pytest.raises(FingerprintError, match=r"another scoring\.seed \(0, and this study's is 1\)"):
        _run(seeded, tmp_path / "third")
    none = reused.model_copy(update={"scoring": reused.scoring.model_copy(update={"reuse": str(tmp_path / "no")})})
    with pytest.raises(FingerprintError, match="has no scores"):
        _run(none, tmp_path / "fourth")


def test_tasks_are_asked_where_perplexity_moved_and_dead_models_few_items(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    evaluation = {**TASKS, "dead_items": 2, "tasks_where": {"perplexity_ratio": 1.02}}
    stages = Stages(stop_at="paper-k0.01")
    with pytest.raises(KeyboardInterrupt):
        run_study(_changed(study, evaluation=evaluation), out, progress=stages)
    measured = [text for text in stages.seen if text.startswith("perplexity of ")]
    assert len(measured) == 6  # of every cell, before any task
    build_report(out)
    records = json.loads((out / "summary.json").read_text())
    assert not any(record.get("missing") for record in records)
    assert [record["cell"] for record in records if record.get("asked") == "pending"] == [
        "paper-k0.01",
        "paper-matched-s3-k0.0001",
        "paper-matched-s3-k0.01",
        "dead-k0.01",
    ]
    assert "Perplexity alone is known of 4 of 6 cells so far" in (out / "report.html").read_text()
    resumed = Stages()
    run_study(_changed(study, evaluation=evaluation), out, progress=resumed)
    assert not any(text.startswith("perplexity of ") for text in resumed.seen)
    build_report(out)
    records = {record["cell"]: record for record in json.loads((out / "summary.json").read_text())}
    unmoved, dead = records["paper-k0.0001"], records["dead-k0.01"]
    assert (unmoved["asked"], unmoved["tasks"], unmoved["code_retention"]) == ("unmoved", {}, None)
    assert (dead["asked"], dead["items_of_each_task"], dead["code_retention"]) == ("dead", 2, 0.0)
    low, high = dead["intervals"]["code_retention"]
    assert low == 0
    assert high > 0.5  # two items that fail say little
    assert "asked" not in records["paper-k0.01"]
    text = (out / "tables" / "table1_dose_response.md").read_text()
    assert "not asked" in text
    assert "beyond a uniform guess on every domain: tasks asked 2 items each" in text
    assert (out / "tables" / "perplexity.md").exists()
    assert "no dose at which tasks were asked keeps" in (out / "report.html").read_text()
    plan = json.loads((out / "plan.json").read_text())
    assert any("factor of 1.02" in note for note in plan["notes"])


def test_a_study_without_tasks_shows_its_perplexities(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    judged = {**SPOTS[0], "judged": {"k_percent": 0.0001, "draws": 1}}
    run_study(_changed(study, spots=[judged], evaluation={"code": [], "general": [], "other": []}), out)
    build_report(out)
    table = (out / "tables" / "perplexity.csv").read_text()
    assert table.startswith("spot,edited,k_percent,perplexity_go,perplexity_go_change_percent")
    assert len(table.splitlines()) == 1 + 5  # the original, and the spot and its control at two doses
    assert not list((out / "tables").glob("table*.csv"))  # those of tasks
    shown = "\n".join(str(getattr(part, "plain", part)) for part in console_report(out))
    assert "Perplexity at each dose, paper" in shown
    assert "perplexity alone is known (the study names no task): at 0.0001% it is" in shown


def test_artefacts_without_keys_are_the_studys_own_and_others_are_set_aside(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    place = tmp_path / "cells" / "original"
    place.mkdir(parents=True)
    (place / "made").write_text("first")
    directory.settle({"cells/original": "a" * 64})
    assert (place / "made").read_text() == "first"
    directory.settle({"cells/original": "b" * 64})
    assert not place.exists()
    place.mkdir()
    (place / "made").write_text("second")
    directory.settle({"cells/original": "a" * 64})
    assert (place / "made").read_text() == "first"
    directory.settle({"cells/original": "b" * 64})
    assert (place / "made").read_text() == "second"
    assert {path.name for path in place.parent.iterdir()} == {"original", f"original@{'a' * 12}"}


def test_items_that_changed_are_refused_where_cells_have_no_keys(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.claim_inputs(weights="w", evaluation_items="1")
    with pytest.raises(FingerprintError, match="another evaluation_items"):
        directory.claim_inputs(weights="w", evaluation_items="2")
    directory.settle({"cells/original": "a" * 64})
    directory.claim_inputs(weights="w", evaluation_items="2")
    with pytest.raises(FingerprintError, match="another weights"):
        directory.claim_inputs(weights="v", evaluation_items="2")
