from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from codingspot.views.mexa.scores import Embeddings, cosines, count_matches, permutation_null, subset


def test_a_pair_scores_where_its_cosine_is_strictly_the_largest_of_row_and_column():
    similarities = np.array(
        [
            [0.9, 0.1, 0.2],  # the largest of its row and column
            [0.1, 0.5, 0.5],  # a tie in its row
            [0.3, 0.2, 0.6],  # the largest of both
        ]
    )
    matches = count_matches(similarities)
    assert (matches.rows, matches.hits, matches.mutual) == (3, 2, 2)
    assert matches.score == pytest.approx(2 / 3)


def test_a_larger_column_takes_the_hit_away():
    assert count_matches(np.array([[0.5, 0.1], [0.7, 0.9]])).hits == 1
    assert count_matches(np.array([[0.5, 0.6], [0.7, 0.4]])).hits == 0
    assert count_matches(np.array([[0.5, 0.6], [0.7, 0.4]])).mutual == 2  # both off the diagonal


def test_cosines_are_of_directions_and_null_vectors_are_like_nothing():
    first = Embeddings(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    second = Embeddings(np.array([[6.0, 8.0], [4.0, -3.0]], dtype=np.float32))
    assert cosines(first, second) == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_equal_texts_have_equal_cosines_and_never_score():
    vectors = np.random.default_rng(0).normal(size=(6, 50)).astype(np.float32)
    vectors[4] = vectors[1]
    similarities = cosines(Embeddings(vectors), Embeddings(vectors))
    assert (similarities[:, 1] == similarities[:, 4]).all()
    assert count_matches(similarities).hits == 4


def direct_score(first: np.ndarray, second: np.ndarray) -> float:
    """The definition, written out."""
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
    c = unit[0] @ unit[1].T
    n = len(c)
    others = [[c[i, j] for j in range(n) if j != i] + [c[j, i] for j in range(n) if j != i] for i in range(n)]
    return sum(c[i, i] > max(others[i]) for i in range(n)) / n


def test_the_score_is_the_definition():
    generator = np.random.default_rng(1)
    first = generator.normal(size=(12, 4))
    second = first + 0.8 * generator.normal(size=(12, 4))
    assert count_matches(cosines(Embeddings(first), Embeddings(second))).score == direct_score(first, second)


def test_rows_are_left_out_on_both_sides():
    similarities = np.arange(16.0).reshape(4, 4)
    assert subset(similarities, [0, 2]).tolist() == [[0, 2], [8, 10]]


@pytest.mark.parametrize("seed", range(4))
def test_the_null_is_the_distribution_over_all_permutations(seed):
    similarities = np.random.default_rng(seed).normal(size=(5, 5))
    matches = count_matches(similarities)
    hits = [count_matches(similarities[:, list(order)]).hits for order in permutations(range(5))]
    null = permutation_null(matches)
    assert null.mean == pytest.approx(np.mean(hits) / 5)
    assert null.p_value == pytest.approx(np.mean([found >= matches.hits for found in hits]))
    assert null.high == pytest.approx(np.sort(hits)[int(np.ceil(0.95 * len(hits))) - 1] / 5)


@given(arrays.arrays(np.float64, (6, 6), elements=st.floats(-1, 1)))
def test_hits_are_mutual_and_at_most_one_a_row(similarities):
    matches = count_matches(similarities)
    assert 0 <= matches.hits <= matches.mutual <= matches.rows
    assert count_matches(similarities.T) == matches
