"""A study that asks whether its spots are the place, and how fast they are relearned: its tables and its report."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from codingspot.ablation import WeightEditor
from codingspot.analyses.location import Located
from codingspot.analyses.relearning import TOKENS
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
  - {{name: second, k_percent: [1], scope: blocks, without: [weights]}}
  - {{name: everything, k_percent: [20], scope: blocks}}
analyses: [reliability, location, relearning]
evaluation: {{code: [], general: [], other: []}}
"""


@pytest.fixture(scope="module")
def study(corpus_folder: Path, tiny_model: Path) -> Study:
    return parse_study(STUDY.format(corpus=corpus_folder, model=tiny_model), "place.yaml")


@pytest.fixture(scope="module")
def run(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(study, tmp_path_factory.mktemp("runs") / "run").path


def losses(study: Study, spot: Spot | None, *, tokens: int | None = None) -> dict[str, float]:
    """The mean loss of every domain with a spot zeroed."""
    inputs = load_inputs(study, lambda _: None)

    def loss(domain: Domain) -> float:
        adapter = ModelAdapter(inputs.loaded.model, inputs.loaded.tokenizer)
        rows = HeldOutLoss(adapter, [domain], tokens=tokens).evaluate()
        return sum(row.loss for row in rows) / sum(row.tokens for row in rows)

    with WeightEditor(inputs.loaded) as editor:
        if spot is not None:
            editor.apply(spot)
        return {domain.name: loss(domain) for domain in inputs.evaluation.domains}


def test_changes_are_those_of_the_losses_when_the_weights_are_zeroed(study: Study, run: Path) -> None:
    table = pd.read_parquet(run / "analysis" / "location.parquet").set_index(["spot", "removed", "domain"])
    spot = Spot.load(run / "spots" / "neurons.safetensors")
    before = losses(study, None)
    after = losses(study, spot.prefix(int(table.loc[("neurons", "spot", "go"), "parameters"])))
    inputs = load_inputs(study, lambda _: None)
    finder = SpotFinder(study, ScoreStore.unscored(inputs.loaded.model, inputs.scoring), inputs.loaded, inputs.scoring)
    other = losses(study, finder.find(study.spots[0], {}, spot).spot)
    for name, found in (("spot", after), ("alternative", other)):
        for domain in before:
            row = table.loc[("neurons", name, domain)]
            assert row["change"] == pytest.approx(found[domain] - before[domain], abs=1e-5)
            assert row["original"] == pytest.approx(before[domain], abs=1e-5)
            assert row["kind"] == ("general" if domain == "english" else "code")


def test_what_there_is_not_is_left_out(run: Path) -> None:
    """A spot of most of its scope leaves no alternative."""
    table = pd.read_parquet(run / "analysis" / "location.parquet")
    removed = {spot: set(rows["removed"]) for spot, rows in table.groupby("spot")}
    both = {"spot", "alternative"}
    assert removed == {"neurons": both, "weights": both, "second": both, "everything": {"spot"}}


def test_relearning_begins_from_the_removal_and_no_harm_is_not_relearned(study: Study, run: Path) -> None:
    curves = pd.read_parquet(run / "analysis" / "relearning.parquet")
    before = losses(study, None, tokens=TOKENS)
    code = (before["go"] + before["python"]) / 2
    assert set(curves["step"]) == {0, 1}  # 8 of the 8 stretches of code that there are, once
    first = curves[(curves["step"] == 0) & (curves["measure"] == "code")]
    assert first["original"].tolist() == pytest.approx([code] * len(first), abs=1e-5)
    assert (first["value"] == first["harmed"]).all()
    assert (first["harmed"] > first["original"]).all()
    harm = {spot: rows.set_index("removed")["harmed"] for spot, rows in first.groupby("spot")}
    assert all(each["random"] >= each["spot"] for each in harm.values() if "random" in each)


def test_the_same_study_finds_the_same_and_a_run_that_goes_on_searches_no_more(
    study: Study, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = run_study(study, tmp_path / "again").path
    for stem in ("location", "relearning"):
        first, second = (pd.read_parquet(each / "analysis" / f"{stem}.parquet") for each in (run, again))
        pd.testing.assert_frame_equal(first, second)
    monkeypatch.setattr(SpotFinder, "find", None)
    run_study(study, tmp_path / "again")


def test_they_are_asked_for_by_name_alone_and_shown_where_they_are(study: Study, run: Path) -> None:
    assert not {"location", "relearning"} & set(
        parse_study("name: a\nspots: [{name: a, k_percent: [1]}]", "a").analyses
    )
    build_report(run)
    shown = pd.read_csv(run / "tables" / "location.csv")
    assert shown["spot"].tolist() == ["neurons", "neurons", "weights", "weights", "second", "second", "everything"]
    table = pd.read_parquet(run / "analysis" / "location.parquet")
    own = table[(table["spot"] == "weights") & (table["removed"] == "spot")]
    assert shown["code_rise"][2] == pytest.approx(own[own["kind"] == "code"]["change"].mean())
    assert shown["general_rise"][2] == pytest.approx(own[own["kind"] == "general"]["change"].mean())
    page = (run / "report.html").read_text()
    assert ("How fast does it come back?" in page) == (run / "tables" / "relearning.csv").exists()
    assert "Is it the place?" in page


def test_what_they_cannot_be_made_of_is_refused_before_the_work(study: Study) -> None:
    inputs = load_inputs(study, lambda _: None)
    prose = tuple(domain for domain in inputs.evaluation.domains if domain.kind == "general")
    with pytest.raises(StudyError, match="relearning needs held-out text of code; give the corpus some"):
        check_study(study, replace(inputs, evaluation=replace(inputs.evaluation, domains=prose)))
    half = study.model_copy(update={"model": study.model.model_copy(update={"dtype": "float16"})})
    with pytest.raises(StudyError, match="float16 overflows"):
        check_study(half, load_inputs(half, lambda _: None))
    scaled = study.spots[1].model_copy(update={"edit": "scale", "edit_parameters": {"alpha": 0.5}})
    with pytest.raises(StudyError, match="spot weights has edit_parameters; leave these out, or the analysis"):
        check_study(study.model_copy(update={"spots": (scaled,)}), inputs)


def test_what_breaks_the_model_is_not_relearned(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__):
        raise NonFiniteError("the loss is nan")

    monkeypatch.setattr("codingspot.analyses.relearning.relearned", refuse)
    weights = study.model_copy(update={"analyses": ("relearning",), "spots": study.spots[1:2]})
    run = run_study(weights, tmp_path / "run").path
    build_report(run)
    assert not (run / "analysis" / "relearning.parquet").exists()


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Located(0.2, 0.8), "located"),
        (Located(0.5, 0.5), "located"),
        (Located(0.51, 0.8), "not located"),
        (Located(0.2, 0.49), "not located"),
        (Located(None, 0.8), "open"),
        (Located(0.2, None), "open"),
        (Located(None, 0.0), "not located"),
    ],
)
def test_located_takes_a_weaker_alternative_and_text_that_agrees(found: Located, word: str) -> None:
    assert found.word == word


def test_a_spot_of_some_languages_is_found_in_their_text_alone(study: Study) -> None:
    inputs = load_inputs(study, lambda _: None)
    finder = SpotFinder(study, ScoreStore.unscored(inputs.loaded.model, inputs.scoring), inputs.loaded, inputs.scoring)
    (section,) = (each for each in study.spots if each.name == "neurons")
    every = finder.given(section, None)
    one = next(iter(every.code))
    narrowed = section.model_copy(update={"parameters": {**section.parameters, "languages": [one]}})
    assert list(finder.given(narrowed, None).code) == [one]
    assert list(finder.given(narrowed, None).general) == list(every.general)
    assert finder.find(narrowed, {}).spot.metadata["languages"] == [one]
    (prose, *others) = every.general
    of_prose = finder.given(section.model_copy(update={"parameters": {"languages": [prose]}}), None)
    assert (list(of_prose.code), list(of_prose.general)) == ([prose], others)


def test_the_alternative_shares_nothing_with_the_spot_nor_with_what_it_leaves_out(study: Study) -> None:
    inputs = load_inputs(study, lambda _: None)
    finder = SpotFinder(study, ScoreStore.unscored(inputs.loaded.model, inputs.scoring), inputs.loaded, inputs.scoring)
    (section,) = (each for each in study.spots if each.name == "neurons")
    spot = finder.find(section, {}).spot
    other = finder.find(section, {}, spot).spot
    assert not torch.isin(other.positions, spot.positions).any()
    assert abs(len(other) - len(spot)) < spot.units.sizes.max()
    third = finder.find(section.model_copy(update={"without": ("first",)}), {"first": spot}, other).spot
    assert not torch.isin(third.positions, torch.cat([spot.positions, other.positions])).any()
