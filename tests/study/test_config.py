from pathlib import Path

import pytest

from codingspot.errors import StudyError
from codingspot.studies import DEMO
from codingspot.study import load_study, parse_study


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
        ("spots: [", "not valid YAML"),
        ("[]", "must be a mapping"),
        ("name: a\nspots: []", "spots"),
        ("name: a\nspots: [{name: s, k_percent: [0]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [101]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [1, 0.5]}]", "increase"),
        ("name: a\nspots: [{name: s, k_percent: [1]}, {name: s, k_percent: [1]}]", "same name"),
        ("name: a\nmodell: {}\nspots: [{name: s, k_percent: [1]}]", "modell"),
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
