import math

import numpy as np
import pandas as pd
import pytest

from codingspot.errors import EvaluationError
from codingspot.evaluation.loss_changes import loss_changes


def _losses(cell: str, **domains: list[tuple[int, float]]) -> pd.DataFrame:
    rows = [(cell, d, i, tokens, loss) for d, docs in domains.items() for i, (tokens, loss) in enumerate(docs)]
    return pd.DataFrame(rows, columns=["cell", "domain", "document", "tokens", "loss"])


def test_change_by_hand() -> None:
    before = _losses("original", go=[(10, 5.0), (30, 9.0)])
    after = _losses("c", go=[(10, 7.0), (30, 15.0)])
    row = loss_changes(pd.concat([before, after]), "original").iloc[0]
    assert (row["cell"], row["domain"]) == ("c", "go")
    assert row["original"] == pytest.approx(14 / 40)
    assert row["change"] == pytest.approx(8 / 40)
    # Two documents: a resample has the first alone, the second alone, or both.
    assert row["low"] == pytest.approx(6 / 30)
    assert row["high"] == pytest.approx(2 / 10)


def test_intervals_cover_the_true_change() -> None:
    generator, covered = np.random.default_rng(0), 0
    for seed in range(100):
        docs = [(20, float(x)) for x in generator.normal(30, 5, 40)]
        edited = [(20, loss + 20 * float(d)) for (_, loss), d in zip(docs, generator.normal(0.3, 0.4, 40), strict=True)]
        table = loss_changes(pd.concat([_losses("original", go=docs), _losses("c", go=edited)]), "original", seed=seed)
        covered += bool(table["low"].item() <= 0.3 <= table["high"].item())
    assert covered >= 87  # 95% of 100, less three standard deviations and the bootstrap's own error


def test_a_model_that_breaks_has_an_infinite_change() -> None:
    before, after = _losses("original", go=[(10, 5.0)]), _losses("c", go=[(10, math.inf)])
    row = loss_changes(pd.concat([before, after]), "original").iloc[0]
    assert row["change"] == row["low"] == row["high"] == math.inf


def test_cells_keep_their_order_and_documents_must_be_the_same() -> None:
    frames = [_losses(cell, go=[(10, 5.0)], english=[(5, 2.0)]) for cell in ("original", "z", "a")]
    table = loss_changes(pd.concat(frames), "original")
    assert table["cell"].tolist() == ["z", "z", "a", "a"]
    with pytest.raises(EvaluationError, match="documents of go"):
        loss_changes(pd.concat([frames[0], _losses("c", go=[(10, 5.0), (10, 1.0)])]), "original")
