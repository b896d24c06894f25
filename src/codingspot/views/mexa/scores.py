"""The MEXA score of two languages from their texts' embeddings, and what chance would give.

A row scores where the cosine of its two texts is strictly larger than that of either with any other row's text:
c_ii > max over j != i of c_ij and of c_ji (Kargaran et al., arXiv 2410.05873, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_HITS = 60


class Embeddings:
    """The embeddings of one language's texts: their directions, and which texts share one.

    Args:
        vectors: ``[texts, width]``.

    Attributes:
        directions: unit vectors in float64, ``[distinct, width]``; a null vector stays null, and is like no other.
        of_text: int64 ``[texts]``, the direction of each text.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        places: dict[bytes, int] = {}
        self.of_text = np.array([places.setdefault(vector.tobytes(), len(places)) for vector in vectors])
        first = np.unique(self.of_text, return_index=True)[1]
        distinct = vectors[first].astype(np.float64)
        norms = np.linalg.norm(distinct, axis=1, keepdims=True)
        self.directions = np.divide(distinct, norms, out=np.zeros_like(distinct), where=norms > 0)


def cosines(first: Embeddings, second: Embeddings) -> np.ndarray:
    """Cosine of every text of one language with every text of the other, float64 ``[texts, texts]``.

    Texts with the same embedding have the very same cosines: a matrix product may round equal rows differently.
    """
    similarities: np.ndarray = first.directions @ second.directions.T
    matrix: np.ndarray = similarities[np.ix_(first.of_text, second.of_text)]
    return matrix


@dataclass(frozen=True)
class Matches:
    """How the texts of two languages find each other.

    Attributes:
        rows: number of pairs.
        hits: pairs whose own cosine is strictly the largest of its row and column.
        mutual: cells of the whole matrix, on the diagonal or off, that are strictly the largest of row and column.
    """

    rows: int
    hits: int
    mutual: int

    @property
    def score(self) -> float:
        """Share of the pairs that are hits; not a number where there are fewer than two pairs."""
        return self.hits / self.rows if self.rows > 1 else float("nan")


def count_matches(similarities: np.ndarray) -> Matches:
    """Count hits and mutual best cells of a square matrix of cosines, row i and column i being one pair."""
    rows = len(similarities)
    if rows == 0:
        return Matches(0, 0, 0)
    best = similarities.argmax(1)
    largest = similarities[np.arange(rows), best]
    strict = (similarities == largest[:, None]).sum(1) == 1
    column_largest = similarities.max(0)
    column_strict = (similarities == column_largest).sum(0) == 1
    mutual = strict & (largest == column_largest[best]) & column_strict[best]
    return Matches(rows, int((mutual & (best == np.arange(rows))).sum()), int(mutual.sum()))


@dataclass(frozen=True)
class Null:
    """What the score would be if the pairing of texts were random (exact, over all permutations).

    Attributes:
        mean: the expected score.
        high: its 0.95 quantile.
        p_value: chance of a score at least as large as the one found.
    """

    mean: float
    high: float
    p_value: float


def permutation_null(matches: Matches) -> Null:
    """The distribution of the score when one language's texts are permuted at random.

    Whatever the permutation, a pair scores where it falls on one of the m mutual best cells, of which no two share a
    row or column. So the number of hits X is that of m given entries that a random permutation of n keeps:
    P(X = r) = sum over j of (-1)^j / (r! j!) * m!/(m-r-j)! * (n-r-j)!/n!, and E[X] = m / n. No draw is needed.
    """
    n, m = matches.rows, matches.mutual
    if n < 2:
        return Null(float("nan"), float("nan"), float("nan"))
    chances = hit_distribution(n, m)
    high = int(np.searchsorted(np.cumsum(chances), 0.95))
    return Null(m / n**2, high / n, float(min(1.0, chances[matches.hits :].sum())))


def hit_distribution(rows: int, mutual: int) -> np.ndarray:
    """P(X = r) for r from 0 on, float64; see :func:`permutation_null`. It ends at r = 60, beyond which it is 1e-80."""
    terms = np.arange(min(mutual, _MOST_HITS) + 1)
    kept = np.cumprod([1.0, *((mutual - i) / (rows - i) for i in terms[:-1])])  # m!/(m-i)! * (n-i)!/n!
    factorials = np.cumprod([1.0, *terms[1:]])
    alternating = np.where(terms % 2, -1.0, 1.0) / factorials
    return np.array([(alternating[: len(terms) - r] * kept[r:]).sum() / factorials[r] for r in terms])


def subset(similarities: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """The cosines of some rows with one another."""
    return similarities[np.ix_(rows, rows)]
