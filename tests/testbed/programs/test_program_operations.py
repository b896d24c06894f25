from __future__ import annotations

from typing import Any

import pytest

from codingspot.testbed.programs import OPERATIONS, Program, Step


def run(*steps: tuple[str, Any] | str, value: Any) -> Any:
    return program(*steps).run(value)


def program(*steps: tuple[str, Any] | str) -> Program:
    pairs = [(step, None) if isinstance(step, str) else step for step in steps]
    return Program("find_answer", "values", tuple(Step(OPERATIONS[name], constant) for name, constant in pairs))


@pytest.mark.parametrize(
    ("steps", "value", "result"),
    [
        ([("keep_greater", 5)], [3, 9, 5, 6], [9, 6]),
        (["unique"], [2, 1, 2, 3, 1], [2, 1, 3]),
        (["running_sum"], [1, 2, 3], [1, 3, 6]),
        (["clip_negatives"], [-2, 0, 4], [0, 0, 4]),
        (["largest"], [], 0),
        (["smallest"], [4, -1], -1),
        ([("shift", 5)], 9, 4),
        ([("shift", 5)], 5, 10),
        (["digit_sum"], 507, 12),
        (["sum_to"], 10, 55),
        ([("remainder", 7)], 23, 2),
        (["remove_vowels"], "old tree", "ld tr"),
        (["split_words", ("keep_longer", 3), ("join", "-")], "the big green tree", "green-tree"),
        (["word_lengths", "sum"], ["cat", "house"], 8),
        (["keep_even", ("add_each", 3), "sum"], [1, 2, 4], 12),
    ],
)
def test_results_computed_by_hand(steps: list[Any], value: Any, result: Any) -> None:
    assert run(*steps, value=value) == result


def test_key_and_description() -> None:
    made = program("keep_even", ("add_each", 3), "sum")
    assert made.key == "keep_even|add_each:3|sum"
    assert made.description == "Keep the even numbers, then add 3 to each number, then return the sum."
    assert (made.takes, made.gives) == ("ints", "int")


@pytest.mark.parametrize("step", ["digit_sum", "sum_to", ("remainder", 5)])
def test_negative_numbers_are_refused_where_languages_differ(step: Any) -> None:
    with pytest.raises(ValueError, match="-4 is negative"):
        run(step, value=-4)


def test_there_are_enough_operations_of_every_kind() -> None:
    assert len(OPERATIONS) >= 25
    assert {operation.takes for operation in OPERATIONS.values()} == {"int", "str", "ints", "strs"}
    assert {operation.gives for operation in OPERATIONS.values()} == {"int", "str", "ints", "strs"}
