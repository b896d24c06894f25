"""The figures of models of different code shares, by hand."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codingspot.study import parse_study

FOLDER = Path(__file__).parents[2] / "examples" / "code-share"


@pytest.fixture
def table():
    spec = importlib.util.spec_from_file_location("code_share_table", FOLDER / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cell(k: float, code: float, losses: tuple[float, float]) -> dict:
    perplexity = dict(zip(("go", "rust"), map(math.exp, losses), strict=True), english=1 + 10 * k)
    return {"k_percent": k, "code": code, "general_retention": 1 - k, "perplexity": perplexity}


def test_doses_by_hand(table) -> None:
    doses = [cell(0, 0.9, (1, 1)), cell(0.01, 0.5, (1, 2)), cell(0.04, 0.0, (3, 2)), cell(0.1, 0.0, (9, 9))]
    found = table.of_spot(doses, ["go", "rust"])
    assert found["k*"] == 0.04
    assert found["general at k*"] == 0.96
    assert found["k of 1 nat"] == pytest.approx(0.02)  # half way from 1.5 to 2.5, and from 0.01 to 0.04 in log k
    without = table.of_spot(doses[:2], ["go", "rust"])
    assert all(map(math.isnan, without.values()))


def test_what_isn_t_on_the_diagonal(table) -> None:
    assert table.off_diagonal(pd.DataFrame(np.array([[9.0, 1.0], [3.0, 9.0]]))) == 2


def test_the_study_is_one() -> None:
    text = (FOLDER / "study.yaml").read_text().replace("MODEL", "models/share-0.1-0")
    assert parse_study(text, "study.yaml").name == "code-share"
