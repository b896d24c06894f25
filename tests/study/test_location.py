"""A study that asks whether its spots are the place: alternatives, relearning, and what a report says of them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from codingspot.ablation import WeightEditor
from codingspot.analyses.location import Located
from codingspot.corpus import Domain
from codingspot.errors import NonFiniteError, StudyError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.importance import ScoreStore
from codingspot.report import build_report
from codingspot.spot import Spot
from codingspot.study import parse_study, run_study
from codingspot.study.checking import check_study
from codingspot.study.config import Study
from codingspot.study.inputs import load_inputs
from codingspot.study.spots import SpotFinder

STUDY = """
name: place
model: {{id: "{model}"}}
corpus: {{source: "{corpus}", evaluation_documents: 2, held_out: [python]}}
scoring: {{token_budget: 256, sequence_length: 64, draws: 2}}
spots:
  - {{name: neurons, recipe: units, k_percent: [1, 4], parameters: {{unit: neuron}}, scope: blocks}}
  - {{name: weights, k_percent: [1], scope: blocks}}
  - {{name: everything, k_percent: [20], scope: blocks}}
analyses: [reliability, location]
evaluation: {{code: [], general: [], other: []}}
"""


@pytest.fixture(scope="module")
def study(corpus_folder: Path, tiny_model: Path) -> Study:
    return parse_study(STUDY.format(corpus=corpus_folder, model=tiny_model), "place.yaml")


@pytest.fixture(scope="module")
def run(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(study, tmp_path_factory.mktemp("runs") / "run").path


def test_rises_are_those_of_the_losses_when_the_weights_are_zeroed(study: Study, run: Path) -> None:
    table = pd.read_parquet(run / "analysis" / "location.parquet").set_index(["spot", "removed"])
    inputs = load_inputs(study, lambda _: None)
    spot = Spot.load(run / "spots" / "neurons.safetensors").top(4)
    code = [domain for domain in inputs.evaluation.domains if domain.kind == "code"]

    def loss(domain: Domain) -> float:
        rows = HeldOutLoss(ModelAdapter(inputs.loaded.model, inputs.loaded.tokenizer), [domain]).evaluate()
        return sum(row.loss for row in rows) / sum(row.tokens for row in rows)

    before = sum(map(loss, code)) / len(code)
    with WeightEditor(inputs.loaded) as editor:
        editor.apply(spot)
        after = sum(map(loss, code)) / len(code)
    assert table.loc[("neurons", "spot"), "code_rise"] == pytest.approx(after - before, abs=1e-5)
    assert table.loc[("neurons", "spot"), "parameters"] == len(spot)
    assert table.loc[("neurons", "alternative"), "parameters"] <= len(spot)
    assert table.loc[("neurons", "alternative"), "code_rise"] != table.loc[("neurons", "spot"), "code_rise"]


def test_what_there_is_not_is_left_out(run: Path) -> None:
    """A spot of most of its scope leaves no alternative; random weights of an untrained model may not do as much."""
    table = pd.read_parquet(run / "analysis" / "location.parquet")
    assert set(table[table["spot"] == "everything"]["removed"]) <= {"spot", "random"}
    assert set(table[table["removed"] == "spot"]["spot"]) == {"neurons", "weights", "everything"}
    curves = pd.read_parquet(run / "analysis" / "relearning.parquet")
    assert set(curves["step"]) == {0, 1}  # 8 of the 8 stretches of code that there are, once
    assert (curves[curves["step"] == 0]["value"] == curves[curves["step"] == 0]["harmed"]).all()


def test_the_same_study_finds_the_same(study: Study, run: Path, tmp_path: Path) -> None:
    again = run_study(study, tmp_path / "again").path
    for stem in ("location", "relearning"):
        first, second = (pd.read_parquet(each / "analysis" / f"{stem}.parquet") for each in (run, again))
        pd.testing.assert_frame_equal(first, second)


def test_it_is_asked_for_by_name_alone_and_shown_where_it_is(study: Study, run: Path) -> None:
    assert "location" not in parse_study("name: a\nspots: [{name: a, k_percent: [1]}]", "a.yaml").analyses
    build_report(run)
    shown = pd.read_csv(run / "tables" / "location.csv")
    assert shown["spot"].tolist() == pd.read_parquet(run / "analysis" / "location.parquet")["spot"].tolist()
    assert "Is it the place?" in (run / "report.html").read_text()


def test_what_it_cannot_be_made_of_is_refused_before_the_work(study: Study) -> None:
    inputs = load_inputs(study, lambda _: None)
    prose = tuple(domain for domain in inputs.evaluation.domains if domain.kind == "general")
    with pytest.raises(StudyError, match="location needs held-out text of code; give the corpus some"):
        check_study(study, replace(inputs, evaluation=replace(inputs.evaluation, domains=prose)))
    half = study.model_copy(update={"model": study.model.model_copy(update={"dtype": "float16"})})
    with pytest.raises(StudyError, match="float16 overflows"):
        check_study(half, load_inputs(half, lambda _: None))


def test_what_breaks_the_model_is_told_and_not_relearned(study: Study, tmp_path: Path, monkeypatch) -> None:
    def refuse(*_, **__):
        raise NonFiniteError("the loss is nan")

    monkeypatch.setattr("codingspot.analyses.location.relearning", refuse)
    run = run_study(study, tmp_path / "run").path
    build_report(run)
    assert pd.read_csv(run / "tables" / "location.csv")["recovered"].isna().all()
    assert not (run / "analysis" / "relearning.parquet").exists()


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Located(0.2, 0.8, None), "located"),
        (Located(0.5, 0.5, 3.0), "located"),
        (Located(0.51, 0.8, None), "not located"),
        (Located(0.2, 0.49, None), "not located"),
        (Located(None, 0.8, 0.1), "open"),
        (Located(0.2, None, 0.1), "open"),
        (Located(None, 0.0, None), "not located"),
    ],
)
def test_located_takes_a_weaker_alternative_and_text_that_agrees(found: Located, word: str) -> None:
    assert found.word == word


def test_the_alternative_shares_nothing_with_the_spot(study: Study) -> None:
    inputs = load_inputs(study, lambda _: None)
    finder = SpotFinder(study, ScoreStore.unscored(inputs.loaded.model, inputs.scoring), inputs.loaded, inputs.scoring)
    (section,) = (each for each in study.spots if each.name == "neurons")
    spot = finder.find(section, {}).spot
    other = finder.find(section, {}, spot).spot
    assert not torch.isin(other.positions, spot.positions).any()
    assert abs(len(other) - len(spot)) < spot.units.sizes.max()
    third = finder.find(section.model_copy(update={"without": ("first",)}), {"first": spot}, other).spot
    assert not torch.isin(third.positions, torch.cat([spot.positions, other.positions])).any()
