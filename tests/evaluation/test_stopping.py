"""The sequential evaluator, with answers that are known beforehand in the place of a model's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pytest

from codingspot.evaluation.results import DocumentLoss, ItemOutcome, Results
from codingspot.evaluation.stopping import SequentialEvaluator


@dataclass(frozen=True)
class KnownTask:
    name: str
    numbers: tuple[int, ...]

    @property
    def items(self) -> int:
        return len(self.numbers)

    def subset(self, numbers: Collection[int]) -> "KnownTask":
        return KnownTask(self.name, tuple(n for n in self.numbers if n in numbers))


class KnownAnswers:
    def __init__(self) -> None:
        sizes = {"code": 60, "one": 100, "two": 100, "other": 50}
        self.tasks = [KnownTask(name, tuple(range(10, 10 + size))) for name, size in sizes.items()]
        self.rates: dict[str, float] = {}
        self.asked: list[tuple[str, int]] = []

    def outcomes(self, tasks: Sequence[KnownTask]) -> list[ItemOutcome]:
        found = [(task.name, number) for task in tasks for number in task.numbers]
        self.asked += found
        # The same items are lost first.
        return [ItemOutcome(t, n, float((n * 37 % 100) / 100 < self.rates.get(t, 1.0)), "") for t, n in found]

    def losses(self) -> list[DocumentLoss]:
        return [DocumentLoss("go", 0, 5, 2.5)]


CHANCE = {"code": 0.0, "one": 0.0, "two": 0.25, "other": 0.0}
QUESTIONS = {"code": ["code"], "general": ["one", "two"]}
THRESHOLDS = {"code": (0.01, 0.5, 0.95), "general": (0.95,)}


@pytest.fixture
def answers() -> KnownAnswers:
    return KnownAnswers()


@pytest.fixture
def evaluator(answers: KnownAnswers) -> SequentialEvaluator:
    original = Results.of_cell("original", answers.outcomes(answers.tasks)).outcomes  # type: ignore[arg-type]
    answers.asked.clear()
    return SequentialEvaluator(answers, original, QUESTIONS, CHANCE)  # type: ignore[arg-type]


def test_clear_cells_use_few_items_and_all_tasks_are_seen(answers, evaluator) -> None:
    answers.rates = {"code": 0.3, "one": 0.2, "two": 0.2}
    results = evaluator.evaluate("broken", THRESHOLDS)
    used = results.outcomes.groupby("task").size()
    assert used["one"] + used["two"] < 60
    assert set(used.index) == {"code", "one", "two", "other"}
    share = (used.sum() - used["other"]) / 260
    assert used["other"] == pytest.approx(50 * share, abs=9)  # rounded up to blocks of eight
    assert len(results.losses) == 1
    assert len(answers.asked) == len(set(answers.asked)) == len(results.outcomes)  # none is evaluated twice


def test_rows_are_in_the_order_of_tasks_and_items(answers, evaluator) -> None:
    rows = evaluator.evaluate("c", THRESHOLDS).outcomes
    keys = list(zip(rows["task"], rows["item"], strict=True))
    order = [(task.name, number) for task in answers.tasks for number in task.numbers]
    assert keys == [key for key in order if key in set(keys)]


def test_a_cell_at_its_threshold_uses_every_item(answers, evaluator) -> None:
    answers.rates = {"code": 0.945}
    rows = evaluator.evaluate("close", THRESHOLDS).outcomes
    assert (rows["task"] == "code").sum() == 60


def test_cells_share_their_order(answers, evaluator) -> None:
    few = evaluator.evaluate("a", {"code": (0.5,), "general": (0.5,)}).outcomes
    more = evaluator.evaluate("b", THRESHOLDS).outcomes
    keys = [set(zip(frame["task"], frame["item"], strict=True)) for frame in (few, more)]
    assert keys[0] < keys[1]
