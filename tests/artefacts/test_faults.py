"""An artefact that is not what it should be is refused in one line that names its file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from makers import STUDY
from safetensors import safe_open
from safetensors.torch import save_file

from codingspot.analysis import saved_inputs
from codingspot.bench.run import _Model
from codingspot.corpus import Corpus
from codingspot.errors import ArtefactError
from codingspot.evaluation.results import Results
from codingspot.importance import ScoreStore
from codingspot.report.run_files import read_run
from codingspot.spot import Spot
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.testbed.quality import load_quality
from codingspot.testbed.routing import Subset


@contextmanager
def changed(file: Path) -> Iterator[None]:
    """Within the block ``file`` may be anything."""
    whole = file.read_bytes()
    try:
        yield
    finally:
        file.write_bytes(whole)


def refused(file: Path, read: Callable[[], object]) -> str:
    with pytest.raises(ArtefactError) as caught:
        read()
    said = str(caught.value)
    assert file.name in said
    assert "\n" not in said
    assert len(said) < 800
    return said


def _positions(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    return lambda tensors, _: tensors.update(positions=change(tensors["positions"]))


def _scores(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    return lambda tensors, _: tensors.update(scores=change(tensors["scores"]))


def _metadata(text: str, key: str = "metadata") -> Callable[..., None]:
    return lambda _, metadata: metadata.update({key: text})


SPOTS: dict[str, Callable[[dict[str, torch.Tensor], dict[str, str]], object]] = {
    "metadata null": _metadata("null"),
    "metadata a list": _metadata("[]"),
    "metadata a string": _metadata('"x"'),
    "metadata of another model's type": _metadata('{"model": "x"}'),
    "metadata nested": _metadata("[" * 3000),
    "no layout": lambda _, metadata: metadata.pop("layout"),
    "layout out of order": _metadata('[["b", [9999]], ["a", [9999]]]', "layout"),
    "layout of negative shapes": _metadata('[["a", [-1, -9999]]]', "layout"),
    "two dimensions": lambda tensors, _: tensors.update({n: t.reshape(1, -1) for n, t in tensors.items()}),
    "a position twice": _positions(lambda positions: positions[:1].repeat(len(positions))),
    "no positions": lambda tensors, _: tensors.pop("positions"),
    "out of range": _positions(lambda positions: positions + 10**6),
    "negative": _positions(lambda positions: positions - 10**6),
    "32 bits": _positions(lambda positions: positions.int()),
    "fewer scores": _scores(lambda scores: scores[1:].clone()),
    "double scores": _scores(lambda scores: scores.double()),
    "no number": _scores(lambda scores: scores * float("nan")),
}


@pytest.mark.parametrize("name", SPOTS)
def test_a_spot_that_is_none(name: str, made: Path) -> None:
    file = made / "spot.safetensors"
    with changed(file):
        with safe_open(file, framework="pt") as opened:
            tensors, metadata = {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata()  # noqa: SIM118
        SPOTS[name](tensors, metadata)
        save_file(tensors, file, metadata)
        refused(file, lambda: Spot.load(file))


Change = Callable[[Any], object]
MANIFESTS: dict[str, Change] = {
    "kind": lambda manifest: manifest["domains"][0].update(kind="prose"),
    "normalise": lambda manifest: manifest.update(normalise="none at all"),
    "predicted_tokens": lambda manifest: manifest["domains"][0].update(predicted_tokens="x"),
    "mean": lambda manifest: manifest["domains"][0].update(mean=float("nan")),
    "files": lambda manifest: manifest["domains"][0].update(files=["../x"]),
    "another's file": lambda manifest: manifest["domains"][0].update(files=["rust.safetensors"]),
    "named": lambda manifest: manifest["domains"].append(manifest["domains"][0]),
    "domains": lambda manifest: manifest.update(domains=[]),
    "layout": lambda manifest: manifest["layout"].reverse(),
    "model": lambda manifest: manifest.update(model=["x"]),
    "settings": lambda manifest: manifest.update(settings={"token_budget": "x"}),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_score_store_whose_manifest_is_wrong(name: str, made: Path) -> None:
    file = made / "scores" / "manifest.json"
    with changed(file):
        manifest = json.loads(file.read_text())
        MANIFESTS[name](manifest)
        file.write_text(json.dumps(manifest))
        refused(file, lambda: ScoreStore.open(file.parent))


def test_a_marker_in_a_manifest_is_no_fault(made: Path) -> None:
    for file, read in (
        (made / "scores" / "manifest.json", ScoreStore.open),
        (made / "corpus" / "manifest.json", Corpus.load),
        (made / "run" / "plan.json", read_run),
    ):
        with changed(file):
            file.write_text(json.dumps({**json.loads(file.read_text()), "marker": {"written by": "codingspot"}}))
            read(file.parent)


PLANS: dict[str, Change] = {
    "chance": lambda plan: plan["tasks"][0].update(chance=2),
    "items": lambda plan: plan["tasks"][0].update(items="8"),
    "kind": lambda plan: plan["domains"][0].update(kind="prose"),
    "k_percent": lambda plan: plan["cells"][1].update(k_percent=-1.0),
    "parameters": lambda plan: plan["model"].update(parameters=0),
    "twice": lambda plan: plan["cells"].append(plan["cells"][1]),
    "nested": lambda plan: plan.update(other=[[]]),
}


@pytest.mark.parametrize("name", [*PLANS, "deep"])
def test_a_plan_that_is_none(name: str, made: Path) -> None:
    file = made / "run" / "plan.json"
    with changed(file):
        plan = json.loads(file.read_text())
        PLANS.get(name, dict)(plan)
        text = json.dumps(plan)
        if name in ("nested", "deep"):
            text = text.replace("[[]]", "[" * 3000 + "]" * 3000) if name == "nested" else "[" * 3000 + "]" * 3000
        file.write_text(text)
        refused(file, lambda: read_run(file.parent))


@pytest.mark.parametrize("text", ["[]", "null", '{"weights": 1}', "{"])
def test_inputs_that_are_none(text: str, made: Path) -> None:
    file = made / "run" / "inputs.json"
    with changed(file):
        file.write_text(text)
        directory = RunDirectory.claim(file.parent, Study.model_validate(STUDY))
        refused(file, lambda: directory.claim_inputs(weights="a"))


ROWS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "column verdict holds '['": lambda rows: rows.assign(verdict="["),
    "column verdict holds '": lambda rows: rows.assign(verdict='["passed", "passed"]'),
    "no program for each": lambda rows: rows.assign(
        further_samples=[["x"]] * len(rows), further_verdicts=[["passed", "passed"]] * len(rows)
    ),
    "not both": lambda rows: rows.drop(columns="further_samples"),
    "column further_verdicts holds lists of whole numbers": lambda rows: rows.assign(
        further_samples=[["x"]] * len(rows), further_verdicts=[[1]] * len(rows)
    ),
    "cell 'x'": lambda rows: pd.concat([rows, rows[:1].assign(cell="x")]),
    "task 'x'": lambda rows: pd.concat([rows, rows[:1].assign(task="x")]),
    "has no hellaswag": lambda rows: rows[(rows["task"] != "hellaswag") | (rows["cell"] == "original")],
    "two rows": lambda rows: pd.concat([rows, rows[:1]]),
    "column outcome": lambda rows: rows.assign(outcome=2.0),
    "column cell has missing values": lambda rows: rows.assign(cell=pd.Series([None] * len(rows), dtype="str")),
    "column item holds text": lambda rows: rows.assign(item="0"),
    "has columns": lambda rows: rows.drop(columns="sample"),
}


@pytest.mark.parametrize("name", ROWS)
def test_results_that_are_not_the_runs(name: str, made: Path) -> None:
    file = made / "run" / "results.parquet"
    with changed(file):
        ROWS[name](Results.read(file.parent).outcomes).to_parquet(file, index=False)
        said = refused(file, lambda: read_run(file.parent))
        assert name.removeprefix("with ") in said or name.startswith("with ")


def test_a_corpus_whose_files_are_elsewhere_or_no_texts(made: Path) -> None:
    manifest, lines = made / "corpus" / "manifest.json", made / "corpus" / "go.jsonl"
    with changed(manifest):
        manifest.write_text(manifest.read_text().replace('"go.jsonl"', '"../corpus/go.jsonl"'))
        assert "not the name of a file" in refused(manifest, lambda: Corpus.load(manifest.parent))
    for line in ('{"text": null}', "[]", "{}", '{"text": ' + "[" * 3000):
        with changed(lines):
            lines.write_text(lines.read_text() + line + "\n")
            refused(lines, lambda: Corpus.load(manifest.parent))
    with changed(manifest):
        manifest.write_text(manifest.read_text()[:-9])
        assert Corpus.is_saved(manifest.parent)  # so that it is refused, and its files not read as any others
        refused(manifest, lambda: Corpus.load(manifest.parent))


@pytest.mark.parametrize("text", ["[]", '{"inputs": []}', '{"inputs": {}, "tables": ["../x"]}', '{"inputs": {}}'])
def test_a_record_of_an_analysis_that_is_none(text: str, made: Path) -> None:
    file = made / "run" / "analysis" / "neurons.json"
    with changed(file):
        file.write_text(text)
        refused(file, lambda: saved_inputs(made / "run", "neurons"))


def test_rows_of_a_spot_that_the_run_does_not_have(made: Path) -> None:
    file = made / "run" / "analysis" / "density.parquet"
    with changed(file):
        pd.read_parquet(file).assign(spot="x").to_parquet(file)
        assert "rows of the spot 'x'" in refused(file, lambda: read_run(made / "run"))


@pytest.mark.parametrize("text", ["- a\n", "model: 3\n", "spots: {}\n", "evaluation: {samples: x}\n", "[" * 3000])
def test_a_study_file_that_a_report_can_not_use(text: str, made: Path) -> None:
    file = made / "run" / "study.yaml"
    with changed(file):
        file.write_text(text)
        refused(file, lambda: read_run(made / "run"))


@pytest.mark.parametrize("text", ["[]", "{}", '{"layers": "x"}', "[" * 3000])
def test_what_is_beside_a_testbed_model_or_a_benchmark(text: str, tmp_path: Path) -> None:
    row = _Model.__new__(_Model)
    row._folder = tmp_path
    for name, read in (
        ("subset.json", lambda: Subset.load(tmp_path)),
        ("evaluation.json", lambda: load_quality(tmp_path)),
        ("taylor-sum.json", lambda: row.row("taylor", "sum", lambda _: torch.zeros(1))),
    ):
        (tmp_path / name).write_text(text)
        refused(tmp_path / name, read)
