"""Calls of Python functions with their results: shown in training, asked in the comprehension benchmark."""

from __future__ import annotations

import random
from typing import Any

from codingspot.testbed.programs.engine import function_name, render
from codingspot.testbed.programs.operations import OPERATIONS, Program, Step
from codingspot.testbed.programs.sampling import is_held_out_call, sample_input, sample_program

CHOICES = 4
_ATTEMPTS = 40


def call_example(program: Program, rng: random.Random) -> str:
    """The program in Python and, as in an interactive session, a call of it (not held out) and its result."""
    value = _sample_call(program, rng, held_out=False)
    return _session(program, value) + repr(program.run(value))


def call_session(program: Program, rng: random.Random, calls: int = 6) -> str:
    """The program in Python and several calls of it (none held out), each with its result."""
    values = [_sample_call(program, rng, held_out=False) for _ in range(calls)]
    name = function_name(program, "python")
    shown = [f">>> {name}({value!r})\n{program.run(value)!r}" for value in values]
    return "\n\n".join((render(program, "python"), *shown))


def comprehension_items(count: int, seed: int) -> list[dict[str, Any]]:
    """Draw items that ask for the result of a call of a Python function of one or two steps.

    Two-step functions are held-out compositions; every call is a held-out one. The wrong choices are results
    of similar functions on the same input, or near misses.

    Returns:
        Dictionaries with ``id``, ``prompt`` (the function and the call), ``choices`` (4 distinct strings),
        ``label`` (the index of the right one) and ``key``.
    """
    rng = random.Random(seed)
    items: list[dict[str, Any]] = []
    seen: set[str] = set()
    while len(items) < count:
        program = sample_program(rng, steps=2, held_out=True) if rng.random() < 0.5 else sample_program(rng, steps=1)
        item = _item(program, rng)
        if item is None or item["prompt"] in seen:
            continue
        seen.add(item["prompt"])
        items.append({"id": f"Comprehension/{len(items)}", **item})
    return items


def _item(program: Program, rng: random.Random) -> dict[str, Any] | None:
    value = _sample_call(program, rng, held_out=True)
    right = program.run(value)
    if right in ([], "", value):
        return None
    wrong = _distractors(program, value, right, rng)
    if len(wrong) < CHOICES - 1:
        return None
    choices = [repr(right), *wrong]
    rng.shuffle(choices)
    prompt = _session(program, value)
    return {"prompt": prompt, "choices": choices, "label": choices.index(repr(right)), "key": program.key}


def _session(program: Program, value: Any) -> str:
    return f"{render(program, 'python')}\n\n>>> {function_name(program, 'python')}({value!r})\n"


def _sample_call(program: Program, rng: random.Random, *, held_out: bool) -> Any:
    while True:
        value = sample_input(program, rng)
        if is_held_out_call(program.key, value) == held_out:
            return value


def _distractors(program: Program, value: Any, right: Any, rng: random.Random) -> list[str]:
    found: list[str] = []
    for _ in range(_ATTEMPTS):
        wrong = _near_miss(right, rng) if rng.random() < 0.3 else _of_similar_program(program, value, rng)
        if wrong not in (None, [], "", right) and repr(wrong) not in found:
            found.append(repr(wrong))
        if len(found) == CHOICES - 1:
            break
    return found


def _of_similar_program(program: Program, value: Any, rng: random.Random) -> Any:
    """The result of the program with one step replaced by one of the same kinds, or None where undefined."""
    index = rng.randrange(len(program.steps))
    old = program.steps[index].operation
    similar = [new for new in OPERATIONS.values() if (new.takes, new.gives) == (old.takes, old.gives)]
    operation = rng.choice(similar)
    constant = rng.choice(operation.constants) if operation.constants else None
    steps = list(program.steps)
    steps[index] = Step(operation, constant)
    try:
        return Program(program.name, program.parameter, tuple(steps)).run(value)
    except ValueError:
        return None


def _near_miss(right: Any, rng: random.Random) -> Any:
    if isinstance(right, int):
        return max(0, right + rng.choice((-2, -1, 1, 2)))
    if isinstance(right, str):
        return right[:-1] if rng.random() < 0.5 else right[1:]
    if rng.random() < 0.5 or len(right) < 2:
        return right[:-1] if rng.random() < 0.5 else right[1:]
    first, second = rng.sample(range(len(right)), 2)
    swapped = list(right)
    swapped[first], swapped[second] = right[second], right[first]
    return swapped
