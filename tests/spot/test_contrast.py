"""Contrast recipes against numpy computations of their formulas."""

import numpy as np
import pytest
import torch

from codingspot.errors import SelectionError, StudyError
from codingspot.spot import find_spot

TOTAL = 64
RECIPES = ("log_ratio", "share", "rank_difference", "orthogonal")


def keys(store, **options) -> np.ndarray:
    spot = find_spot(store, max_k_percent=100, **options)
    found = np.empty(TOTAL)
    found[spot.positions.numpy()] = spot.scores.numpy()
    return found


@pytest.fixture
def scores(random_scores):
    return {name: random_scores(seed) for seed, name in enumerate(("Go", "Rust", "English"))}


def parts(scores) -> tuple[np.ndarray, np.ndarray]:
    values = {name: s.abs().numpy().astype(np.float64) for name, s in scores.items()}
    return values["Go"] + values["Rust"], values["English"]


def test_log_ratio(make_store, scores) -> None:
    code, english = parts(scores)
    expected = np.log((code + 0.5 * code.mean()) / (english + 0.5 * english.mean()))
    np.testing.assert_allclose(keys(make_store(**scores), recipe="log_ratio", smoothing=0.5), expected, rtol=1e-4)


def test_share_of_total(make_store, scores) -> None:
    code, english = parts(scores)
    expected = code / (code + english + (code + english).mean())
    np.testing.assert_allclose(keys(make_store(**scores), recipe="share"), expected, rtol=1e-5)


def test_orthogonal_residual(make_store, scores) -> None:
    code, english = parts(scores)
    found = keys(make_store(**scores), recipe="orthogonal")
    np.testing.assert_allclose(found, code - (code @ english) / (english @ english) * english, rtol=1e-3, atol=1e-5)
    assert found @ english == pytest.approx(0, abs=1e-3)


def test_rank_difference_orders_as_exact_ranks_do(make_store, scores) -> None:
    code, english = parts(scores)

    def rank(values: np.ndarray) -> np.ndarray:
        return np.argsort(np.argsort(-values)) / TOTAL

    found = keys(make_store(**scores), recipe="rank_difference")
    # A bin is 1/128 of a magnitude wide: a rank may be off by what shares its bin.
    np.testing.assert_allclose(found, rank(english) - rank(code), atol=4 / TOTAL)
    assert np.corrcoef(found, rank(english) - rank(code))[0, 1] > 0.995


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_only_code_needs_leads_and_what_only_english_needs_trails(make_store, recipe) -> None:
    code, english = torch.full((TOTAL,), 0.1), torch.full((TOTAL,), 0.1)
    code[7], english[7] = 9.0, 0.01
    code[40], english[40] = 0.01, 9.0
    spot = find_spot(make_store(Go=code, English=english), recipe=recipe, max_k_percent=100)
    assert spot.positions[0] == 7
    assert spot.positions[-1] == 40


@pytest.mark.parametrize("recipe", [*RECIPES, "set_difference"])
def test_a_contrast_needs_general_text(make_store, random_scores, recipe) -> None:
    with pytest.raises(SelectionError, match=f"{recipe} needs a general domain"):
        find_spot(make_store(Go=random_scores(0)), recipe=recipe, max_k_percent=5)


def test_set_difference_within_the_top_of_code(make_store) -> None:
    code = [float(TOTAL - position) for position in range(TOTAL)]
    english = [float(position % 8) for position in range(TOTAL)]
    store = make_store(Go=code, English=english)
    options = {"recipe": "set_difference", "general_percent": 25, "code_percent": 25}
    kept = [position for position in range(16) if position % 8 < 6]  # of the 16 best for code
    assert find_spot(store, max_k_percent=100 * 12 / TOTAL, **options).positions.tolist() == kept
    with pytest.raises(SelectionError, match="12 parameters are eligible"):
        find_spot(store, max_k_percent=100 * 13 / TOTAL, **options)


@pytest.mark.parametrize("options", [{"recipe": "log_ratio", "smoothing": 0}, {"recipe": "share", "smoothing": -1}])
def test_smoothing_must_be_positive(make_store, scores, options) -> None:
    with pytest.raises(StudyError, match="smoothing is"):
        find_spot(make_store(**scores), max_k_percent=5, **options)
