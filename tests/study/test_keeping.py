import pytest

from codingspot.errors import StudyError
from codingspot.models import LARGE_MODEL
from codingspot.study.config import LanguageMatrixSection, Study
from codingspot.study.keeping import folds, wants_scores

LARGE = LARGE_MODEL + 1


def _study(keep: str | None = None, normalise: str = "tokens", **spot) -> Study:
    section = {"name": "a", "k_percent": [0.25], "scope": "all", **spot}
    scoring = {"keep": keep, "normalise": normalise}
    return Study.model_validate({"name": "s", "model": {"id": "testbed"}, "scoring": scoring, "spots": [section]})


def test_languages_of_a_large_model_are_folded_where_the_study_can_do_with_it() -> None:
    assert folds(_study(recipe="sum"), LARGE)
    assert not folds(_study(recipe="sum"), LARGE_MODEL)
    assert folds(_study(recipe="sum", keep="folded"), 10)
    assert not folds(_study(recipe="sum", keep="all"), LARGE)
    assert folds(_study(recipe="set_difference"), LARGE)
    assert folds(_study(recipe="learned"), LARGE)
    assert folds(_study(recipe="units", parameters={"languages": ["go"]}), LARGE)


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ({"recipe": "consensus"}, "spot a: consensus"),
        ({"recipe": "sum", "parameters": {"aggregation": "median"}}, "spot a: sum"),
        ({"recipe": "sum", "parameters": {"languages": ["go"]}}, "spot a: sum"),
        ({"recipe": "learned", "parameters": {"shortlist": "consensus"}}, "spot a: consensus"),
        ({"recipe": "learned", "parameters": {"languages": ["go"]}}, "spot a: set_difference"),
        ({"recipe": "sum", "controls": ["general_spot"]}, "spot a: general_spot"),
        ({"recipe": "unit_prior", "controls": ["general_spot"]}, "spot a: general_spot"),
        ({"recipe": "sum", "normalise": "zscore"}, "scoring.normalise: zscore"),
    ],
)
def test_what_needs_each_language_keeps_them_or_is_named(spot, named) -> None:
    assert not folds(_study(**spot), LARGE)
    with pytest.raises(StudyError, match=f"{named} needs the scores of each language"):
        folds(_study(keep="folded", **spot), 10)


@pytest.mark.parametrize(
    ("spot", "wanted"),
    [
        ({"recipe": "sum"}, True),
        ({"recipe": "learned"}, True),
        ({"recipe": "units"}, False),
        ({"recipe": "unit_prior"}, True),
        ({"recipe": "units", "controls": ["matched_units", "general_spot", "bottom", "uniform"]}, False),
        ({"recipe": "units", "controls": ["matched_general"]}, True),
        ({"recipe": "units", "parameters": {"languages": ["go"]}}, False),
    ],
)
def test_weights_are_scored_for_what_reads_their_scores(spot, wanted) -> None:
    assert wants_scores(_study(**spot)) is wanted


def test_a_matrix_of_whole_units_takes_no_scores_and_one_of_weights_each_language_s() -> None:
    study = _study(recipe="units")
    units = study.model_copy(update={"language_matrix": LanguageMatrixSection(recipe="units")})
    weights = study.model_copy(update={"language_matrix": LanguageMatrixSection(recipe="set_difference")})
    assert not wants_scores(units)
    assert folds(units, LARGE)
    assert wants_scores(weights)
    assert not folds(weights, LARGE)
