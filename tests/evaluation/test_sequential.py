import numpy as np
import pandas as pd
import pytest

from codingspot.errors import EvaluationError
from codingspot.evaluation.sequential import Design, RetentionSequence, on_common_items, retention_intervals

CHANCE = {"easy": 0.0, "choice": 0.5, "hopeless": 0.25}


def _outcomes(cell: str, **tasks: list[float]) -> pd.DataFrame:
    rows = [(cell, task, item, float(v), "", "") for task, values in tasks.items() for item, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["cell", "task", "item", "outcome", "sample", "verdict"])


@pytest.fixture
def original() -> pd.DataFrame:
    return _outcomes("original", easy=[1] * 18 + [0] * 2, choice=[1] * 28 + [0] * 2, hopeless=[1, 0, 0, 0])


def _retention(before: pd.DataFrame, after: pd.DataFrame, tasks: list[str]) -> float:
    rates = [frame.groupby("task")["outcome"].mean() for frame in (before, after)]
    return float(np.mean([(rates[1][t] - CHANCE[t]) / (rates[0][t] - CHANCE[t]) for t in tasks]))


def test_all_items_give_the_mean_retention_exactly(original) -> None:
    after = _outcomes("c", easy=[1] * 9 + [0] * 10 + [1], choice=[1] * 21 + [0] * 9, hopeless=[0] * 4)
    design = Design.of(original, ["easy", "choice", "hopeless"], CHANCE, seed=3)
    assert design is not None
    assert {task for task, _ in design.order} == {"easy", "choice"}  # the third is at chance
    assert len(design.order) == 50
    known = {(t, i): o for t, i, o in zip(after["task"], after["item"], after["outcome"], strict=True)}
    sequence = RetentionSequence(design)
    sequence.add({item: known[item] for item in design.order})
    expected = _retention(original, after, ["easy", "choice"])
    assert sequence.interval == pytest.approx((expected, expected))
    assert sequence.settles([0.2, expected - 0.01, expected + 0.01])


def test_heavier_items_stand_in_the_list_more_often(original) -> None:
    design = Design.of(original, ["easy", "choice"], CHANCE)
    assert design is not None
    counts = pd.Series([task for (task, _), _, _ in design.tickets]).value_counts()
    # Weights a task: 1 / (20 * 0.9) and 1 / (30 * (28/30 - 0.5)).
    assert counts["easy"] == 20 * 8
    assert counts["choice"] == 30 * round(8 * (1 / (30 * (28 / 30 - 0.5))) / (1 / 18))
    worths = {task: {round(w, 9) for (t, _), w, _ in design.tickets if t == task} for task in ("easy", "choice")}
    ratio = max(worths["choice"]) / max(worths["easy"])
    assert 0.9 < ratio < 1.1


def test_a_clear_case_is_settled_early_and_a_close_one_is_not(original) -> None:
    many = pd.concat([original.assign(item=original["item"] + 100 * copy) for copy in range(10)])
    design = Design.of(many, ["easy", "choice"], CHANCE)
    assert design is not None
    before = {item: outcome for item, _, outcome in design.tickets}

    def items_needed(outcome_of) -> int:
        sequence = RetentionSequence(design)
        for item in design.order:
            sequence.add({item: outcome_of(item)})
            if sequence.settles([0.95]):
                break
        return sequence.items

    assert items_needed(lambda item: before[item]) < 150  # nothing lost
    assert items_needed(lambda item: 0.0) < 20  # all lost
    rng = np.random.default_rng(0)
    close = {item: before[item] * float(rng.random() > 0.03) for item in design.order}
    assert items_needed(close.get) > 200


def test_items_of_another_order_are_refused(original) -> None:
    design = Design.of(original, ["easy"], CHANCE)
    assert design is not None
    with pytest.raises(EvaluationError, match="another order"):
        RetentionSequence(design).add({design.order[-1]: 1.0})


def test_intervals_are_replayed_from_the_rows(original) -> None:
    design = Design.of(original, ["easy", "choice"], CHANCE)
    assert design is not None
    shown = set(design.order[:12])
    after = _outcomes("c", easy=[0] * 20, choice=[1] * 30)
    kept = [(t, i) in shown for t, i in zip(after["task"], after["item"], strict=True)]
    table = retention_intervals(pd.concat([original, after[kept]]), "original", {"both": ["easy", "choice"]}, CHANCE)
    row = table.iloc[0]
    assert (row["cell"], row["items"], row["available"]) == ("c", 12, 50)
    sequence = RetentionSequence(design)
    sequence.add({item: float(item[0] == "choice") for item in design.order[:12]})
    assert (row["low"], row["high"]) == pytest.approx(tuple(sequence.interval))


def test_undefined_retention_has_no_interval(original) -> None:
    after = _outcomes("c", hopeless=[0, 0, 0, 0])
    table = retention_intervals(pd.concat([original, after]), "original", {"q": ["hopeless"]}, CHANCE)
    assert table["low"].isna().all()


def test_common_items(original) -> None:
    after = _outcomes("c", easy=[1, 0, 1])
    both = on_common_items(pd.concat([original, after]), ["original", "c"])
    assert both.groupby("cell")["item"].apply(list).to_dict() == {"c": [0, 1, 2], "original": [0, 1, 2]}
