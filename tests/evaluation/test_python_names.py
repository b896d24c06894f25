from __future__ import annotations

import pytest

from codingspot.evaluation.python_names import defined, third_party, used

SOURCE = """
from __future__ import annotations
import os.path, numpy.linalg as linalg
from collections import deque
from scipy import stats
from . import sibling
def sum(a, b):
    import pandas
    return a + b
class Node: ...
value = sum(1, other)
"""


def test_names() -> None:
    assert defined(SOURCE) == {"sum", "Node"}
    assert used(SOURCE) == {"a", "b", "sum", "other"}
    assert third_party(SOURCE) == {"numpy", "scipy", "pandas"}


@pytest.mark.parametrize("source", ["def f(:", "x = '\0'", ""])
def test_what_is_not_python_has_none(source: str) -> None:
    assert defined(source) == used(source) == third_party(source) == frozenset()
