from pathlib import Path

import pytest

from codingspot.errors import CorpusError, StudyError
from codingspot.studies import DEMO
from codingspot.study import load_study, parse_study, run_study


def test_demo_study_is_the_papers_grid_with_controls():
    study = load_study(DEMO)
    paper = study.spots[0]
    assert paper.k_percent == (0.0025, 0.01, 0.09, 0.25, 1)
    assert paper.controls == ("uniform", "matched")
    assert [spot.scope for spot in study.spots] == ["all", "all", "blocks", "blocks"]


def test_round_trip_through_yaml():
    study = load_study(DEMO)
    assert parse_study(study.to_yaml(), "copy") == study


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("spots: [", r"not valid YAML: line 1, column 9: .*; correct it there"),
        ("[]", "must be a mapping"),
        ("name: a\nspots: []", "at least one spot"),
        ("name: a\nspots: [{name: s, k_percent: [0]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [101]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [1, 0.5]}]", "increase"),
        ("name: a\nspots: [{name: s, k_percent: [1]}, {name: s, k_percent: [1]}]", "same name"),
        ("name: a\nmodell: {}\nspots: [{name: s, k_percent: [1]}]", r"modell: there is no .* did you mean model\?"),
        ("name: a\nspots: [{name: s, k_percents: [1]}]", r"spots.0.k_percents: .* did you mean k_percent\?"),
        ("name: a\nspots: [{name: s}]", "spots.0.k_percent: is missing"),
        ("name: a\nspots: [{name: s, k_percent: [1], without: [r]}]", "without names 'r', which is no spot before it"),
        ("name: a\nspots: [{name: s, k_percent: [1], without: [s]}]", "without names 's', which is no spot before it"),
        ("name: a\nqqqqq: 1\nspots: [{name: s, k_percent: [1]}]", "qqqqq: there is no such setting; leave it out"),
        ("name: a\nscoring: {estimator: taylr}\nspots: [{name: s, k_percent: [1]}]", "unknown estimator 'taylr'"),
        ("name: ../a\nspots: [{name: s, k_percent: [1]}]", "name"),
    ],
)
def test_bad_study_is_one_line_that_names_the_setting(text, named):
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(text, "s.yaml")
    assert "\n" not in str(caught.value)


def test_missing_study_file(tmp_path: Path):
    with pytest.raises(StudyError, match="--show-study"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ("k_percent: [1], edit: scale", "needs parameter 'alpha'"),
        ("k_percent: [1], edit: scale, edit_parameters: {beta: 1}", "no parameter 'beta'"),
        ("k_percent: [1], edit: keep_only", "ask for sufficiency"),
        ("k_percent: [1], edit: erase", "unknown edit 'erase'"),
        ("k_percent: [1], recipe: summ", "spot s: unknown recipe 'summ'; use one of sum, "),
        ("k_percent: [1], parameters: {agregation: median}", "recipe 'sum' has no parameter 'agregation'"),
        (
            "k_percent: [1], recipe: learned, parameters: {step: 9}",
            "recipe 'learned' has no parameter 'step'; it has sh",
        ),
        ("k_percent: [1], recipe: learned, parameters: {steps: nine}", "'learned': steps is 'nine'"),
        ("k_percent: [1], recipe: learned, parameters: {steps: 0}", "steps of a learned mask is 0; it must be above 0"),
        ("k_percent: [1], recipe: learned, parameters: {shortlist: summ}", "unknown recipe 'summ'"),
        ("k_percent: [6], recipe: learned", "shortlist_percent is 5; a mask of 6% is chosen from more than that"),
        ("k_percent: [1], scope: block", "unknown scope 'block'"),
        ("k_percent: [1], sufficiency: {k_percent: [2]}", "exceeds the spot's own largest k"),
        ("k_percent: [1], precision: 0", "greater than 0"),
    ],
)
def test_edits_and_further_cells_are_checked(spot: str, named: str):
    with pytest.raises(StudyError, match=named):
        parse_study(f"name: a\nspots: [{{name: s, {spot}}}]", "s.yaml")


def test_an_edit_has_its_own_parameters():
    study = parse_study(
        "name: a\nspots: [{name: s, k_percent: [1], edit: scale, edit_parameters: {alpha: 0.5}}]", "s.yaml"
    )
    assert study.spots[0].edit_parameters == {"alpha": 0.5}


def test_a_learned_spot_is_trained_at_the_usual_doses_below_its_largest():
    study = parse_study(
        "name: a\nspots: [{name: s, recipe: learned, k_percent: [0.4], parameters: {steps: 9}}]", "s.yaml"
    )
    recipe = study.spots[0].learned
    assert recipe is not None
    assert (recipe.shortlist, recipe.shortlist_percent) == ("set_difference", 5.0)
    assert (recipe.settings.doses, recipe.settings.steps) == ((0.1, 0.25, 0.4), 9)


SPOT = "spots: [{name: s, k_percent: [1]}]"
VIEWS = "views: {align: {}, lens: {}}\nlanguage_matrix: {}"


@pytest.mark.parametrize("model", ["testbed", "testbed-routed"])
def test_a_testbed_model_has_its_own_text_and_tasks_where_none_are_named(model: str):
    study = parse_study(f"name: a\nmodel: {{id: {model}}}\nevaluation: {{limit: 3}}\n{SPOT}\n{VIEWS}", "s.yaml")
    assert study.corpus.source == "testbed"
    assert [spec.name for role, spec in study.evaluation.tasks() if role != "general"] == [
        "testbed_humaneval",
        "testbed_comprehension",
    ]
    assert study.views.align is not None
    assert study.views.align.parallel == "testbed"
    assert study.language_matrix is not None
    assert len(study.language_matrix.tasks) == 3
    given = parse_study(f"name: a\nevaluation: {{other: []}}\ncorpus: {{source: mine}}\n{SPOT}", "s.yaml")
    assert given.corpus.source == "mine"
    assert [role for role, _ in given.evaluation.tasks()] == ["code", *["general"] * 5]
    assert given.views.align is given.language_matrix is None


@pytest.mark.parametrize("study", [f"{SPOT}\n{VIEWS}", f"evaluation: {{code: [humaneval]}}\n{SPOT}\n{VIEWS}"])
def test_a_study_of_another_model_never_touches_the_testbed(study: str):
    parsed = parse_study(f"name: a\nmodel: {{id: org/name}}\n{study}", "s.yaml")
    assert "testbed" not in parsed.to_yaml()
    assert parsed.corpus.source is None
    swapped = parse_study(f"name: a\n{study}", "s.yaml", model="org/name@v1")
    assert "testbed" not in swapped.to_yaml()
    assert (swapped.model.id, swapped.model.revision) == ("org/name", "v1")


@pytest.mark.parametrize(
    ("study", "named"),
    [
        (SPOT, "no corpus is named for "),
        (f"corpus: {{source: x}}\n{SPOT}\nviews: {{align: {{}}}}", "no parallel code is named for "),
        ("corpus: {source: x}\nviews: {lens: {}}", "no parallel code is named for "),
    ],
)
def test_what_a_study_reads_must_be_named_before_any_work(study: str, named: str, tmp_path: Path):
    with pytest.raises(CorpusError, match=named):
        run_study(parse_study(f"name: a\nmodel: {{id: org/name}}\n{study}", "s.yaml"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
