from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codingspot.testbed.programs import (
    OPERATIONS,
    Step,
    is_held_out,
    sample_input,
    sample_program,
)
from codingspot.testbed.programs.sampling import edge_input, is_sensible


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=150, deadline=None)
def test_split_is_respected_and_inputs_fit(seed: int, held_out: bool) -> None:
    rng = random.Random(seed)
    program = sample_program(rng, held_out=held_out)
    assert is_held_out(program.key) == held_out
    kinds = [(step.operation.takes, step.operation.gives) for step in program.steps]
    assert all(first[1] == second[0] for first, second in pairwise(kinds))
    types = {"int": int, "str": str, "ints": list, "strs": list}
    for value in (sample_input(program, rng), edge_input(program)):
        assert isinstance(program.run(value), types[program.gives])


def test_split_takes_a_sixteenth_of_the_compositions_and_no_single_operation() -> None:
    keys = [f"keep_even|add_each:{number}" for number in range(4000)]
    assert 0.04 < sum(map(is_held_out, keys)) / len(keys) < 0.09
    assert not any(is_held_out(f"add_each:{number}") for number in range(4000))


def test_same_seed_same_programs() -> None:
    first, second = random.Random(4), random.Random(4)
    assert [sample_program(first) for _ in range(20)] == [sample_program(second) for _ in range(20)]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_number_of_steps_is_obeyed(steps: int) -> None:
    rng = random.Random(steps)
    assert {len(sample_program(rng, steps=steps).steps) for _ in range(30)} == {steps}


@pytest.mark.parametrize(("steps", "held_out"), [(0, False), (4, False), (1, True)])
def test_impossible_requests_are_refused(steps: int, held_out: bool) -> None:
    with pytest.raises(ValueError, match="must be 1, 2 or 3"):
        sample_program(random.Random(0), steps=steps, held_out=held_out)


@pytest.mark.parametrize(
    ("names", "sensible"),
    [
        (("sort_numbers", "sum"), False),
        (("keep_even", "keep_odd"), False),
        (("square_each", "square_each"), False),
        (("absolute_each", "clip_negatives"), False),
        (("keep_even", "sum"), True),
        (("unique", "sort_numbers"), True),
        (("sum",), True),
    ],
)
def test_compositions_with_an_idle_step_are_not_drawn(names: tuple[str, ...], sensible: bool) -> None:
    assert is_sensible(tuple(Step(OPERATIONS[name]) for name in names)) == sensible


def test_every_operation_is_drawn_in_training() -> None:
    rng = random.Random(0)
    drawn = {step.operation.name for _ in range(1500) for step in sample_program(rng).steps}
    assert drawn == set(OPERATIONS)
