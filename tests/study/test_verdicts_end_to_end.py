"""Controls that must fail: what has nothing to do with coding is not called a coding spot, from text to verdict."""

import json
from pathlib import Path

import pytest

from codingspot.report.run_files import read_run
from codingspot.report.specificity import Verdict, judge_all
from codingspot.report.summary import summarise
from codingspot.sandbox import available
from codingspot.study import parse_study, run_study
from codingspot.testbed.world import general_english, pure_code

pytestmark = pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")


def _texts(folder: Path, **domains: list[str]) -> Path:
    folder.mkdir()
    for name, texts in domains.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


def _verdicts(folder: Path, out: Path, *, scoring: str, spots: str) -> list[Verdict]:
    study = parse_study(
        f"""
name: control
corpus: {{source: "{folder}", evaluation_documents: 4, held_out: [], purified: false}}
scoring: {{token_budget: 4096, sequence_length: 128, draws: 1, {scoring}}}
spots: [{spots}]
analyses: []
evaluation: {{general: [testbed_arithmetic, testbed_knowledge], other: [], limit: 20, code_limit: 20}}
""",
        "control.yaml",
    )
    run = read_run(run_study(study, out).path)
    return [finding.verdict for finding in judge_all(summarise(run))]


def test_random_parameters_are_not_specific(tmp_path: Path):
    """At a dose that does nothing, and at one that breaks everything."""
    texts = _texts(tmp_path / "texts", go=pure_code("go", 120, 5), english=general_english(120, 5))
    spots = "{name: small, k_percent: [0.1]}, {name: large, k_percent: [30]}"
    small, large = _verdicts(texts, tmp_path / "random", scoring="estimator: random", spots=spots)
    assert small is Verdict.NO_EFFECT
    assert large is Verdict.NOT_SPECIFIC
    assert small.startswith("not specific")


def test_the_spot_of_english_is_general(tmp_path: Path):
    """The recipe that makes a coding spot specific, on texts whose labels are exchanged: English is called Go."""
    code = [*pure_code("go", 60, 5), *pure_code("julia", 60, 5)]
    texts = _texts(tmp_path / "texts", go=general_english(120, 5), english=code)
    (verdict,) = _verdicts(
        texts,
        tmp_path / "english",
        scoring="estimator: taylor",
        spots="{name: spot, recipe: set_difference, parameters: {general_percent: 20}, scope: blocks,"
        " k_percent: [0.25, 1]}",
    )
    assert verdict is Verdict.GENERAL
