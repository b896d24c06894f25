"""Drawing programs and inputs by seed, and the split that keeps the benchmarks' programs out of training.

A composition of two or three steps is held out when the SHA-256 of its key is 0 modulo 16; single operations
never are. A call of a function is held out when the SHA-256 of key and input is 0 modulo 8.
"""

from __future__ import annotations

import hashlib
import random
from functools import cache
from itertools import pairwise
from typing import Any

from codingspot.testbed.programs.operations import KINDS, OPERATIONS, Operation, Program, Step, Value

VERBS = (
    "make", "get", "find", "pick", "change", "build", "take", "give", "show", "use", "try", "work", "read",
    "run", "move", "check", "write", "turn", "call", "open", "close", "help", "start", "look",
)  # fmt: skip
NOUNS = (
    "answer", "group", "part", "thing", "set", "data", "result", "list", "line", "place", "order", "book",
    "card", "box", "day", "table", "game", "page", "note", "row", "plan", "case", "piece", "road",
)  # fmt: skip
"""A function's name is a verb and a noun drawn at random: it tells nothing of what the function does."""

PARAMETERS = {
    "ints": ("values", "numbers", "items"),
    "int": ("number", "value"),
    "str": ("text", "line"),
    "strs": ("words", "names"),
}

WORDS = (
    "cat", "dog", "bird", "tree", "house", "river", "stone", "red", "green", "blue", "bread", "milk", "sun",
    "moon", "star", "rain", "snow", "book", "door", "table", "garden", "school", "friend", "mother", "summer",
    "winter", "horse", "water", "apple", "light", "old", "new", "big", "cold", "small", "happy", "window",
    "go", "we", "he", "my", "is", "to", "lemon", "paper", "music", "sister", "yellow", "orange", "animal",
)  # fmt: skip

_LARGEST = 10_000
_NEED_NEGATIVES = {"absolute_each", "clip_negatives"}
_CHAINED = ((1, 0.25), (2, 0.40), (3, 0.35))
_PROBES = 16


def is_held_out(key: str) -> bool:
    """Whether the composition with this key belongs to the benchmarks alone."""
    return "|" in key and _bucket(key, 16) == 0


def is_held_out_call(key: str, value: Value) -> bool:
    """Whether the result of this program on this input is only ever asked, never shown in training."""
    return _bucket(f"{key}({value!r})", 8) == 0


def sample_program(rng: random.Random, *, steps: int | None = None, held_out: bool = False) -> Program:
    """Draw a program of 1, 2 or 3 steps in which every step matters.

    Args:
        rng: the source of randomness.
        steps: the number of steps; drawn when not given.
        held_out: draw from the held-out compositions (of 2 or 3 steps), otherwise never one of these.

    Raises:
        ValueError: ``steps`` is not 1, 2 or 3, or a held-out single step is asked for.
    """
    if steps not in (None, 1, 2, 3) or (held_out and steps == 1):
        raise ValueError(f"steps is {steps}; it must be 1, 2 or 3, and at least 2 for held-out programs")
    while True:
        chain = _sample_chain(rng, steps or _sample_length(rng, shortest=2 if held_out else 1))
        key = "|".join(step.key for step in chain)
        if is_held_out(key) == held_out and is_sensible(chain):
            return Program(sample_name(rng), rng.choice(PARAMETERS[chain[0].operation.takes]), chain)


def sample_name(rng: random.Random) -> str:
    """Draw a function's name, in snake_case, that tells nothing of what the function does."""
    return f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"


def sample_input(program: Program, rng: random.Random) -> Any:
    """Draw a small input on which the program means the same in every language."""
    return _sample_value(program.steps, rng)


def edge_input(program: Program) -> Any:
    """The smallest input on which the program is defined in every language: empty, a single word, or zero."""
    smallest: dict[str, Any] = {"ints": [], "strs": [], "int": 0, "str": ""}
    splits = any(step.operation.name == "split_words" for step in program.steps)
    return "cat" if splits and program.takes == "str" else smallest[program.takes]


@cache
def is_sensible(steps: tuple[Step, ...]) -> bool:
    """Whether the composition is worth learning, judged on a fixed set of inputs.

    Its results differ from input to input and stay small, and none of its steps can be left out without
    changing the result on at least a quarter of the inputs.
    """
    names = [step.operation.name for step in steps]
    if any(first == second for first, second in pairwise(names)):
        return False
    # A join that meets an empty list and a split of its empty text differ between languages.
    if "join" in names and "split_words" in names[names.index("join") :]:
        return False
    rng = random.Random("|".join(step.key for step in steps))
    probes = [_sample_value(steps, rng) for _ in range(_PROBES)]
    try:
        results = [_run_small(steps, probe) for probe in probes]
    except ValueError:
        return False
    if len({repr(result) for result in results}) < (2 if steps[-1].operation.gives == "int" else 4):
        return False
    if steps[0].operation.takes == "ints":
        try:
            _run_small(steps, [20] * 6)
        except ValueError:
            return False
    return all(
        _differences(steps[:index] + steps[index + 1 :], probes, results) * 4 >= _PROBES
        for index, step in enumerate(steps)
        if step.operation.takes == step.operation.gives
    )


def _differences(steps: tuple[Step, ...], probes: list[Any], results: list[Any]) -> int:
    count = 0
    for probe, result in zip(probes, results, strict=True):
        value = probe
        try:
            for step in steps:
                value = step.run(value)
        except ValueError:
            value = None
        count += value != result
    return count


def _run_small(steps: tuple[Step, ...], value: Any) -> Any:
    for step in steps:
        value = step.run(value)
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, int) and abs(number) > _LARGEST for number in numbers):
            raise ValueError("a number grows too large")
    return value


def _bucket(text: str, buckets: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % buckets


def _sample_length(rng: random.Random, shortest: int) -> int:
    lengths, weights = zip(*((length, weight) for length, weight in _CHAINED if length >= shortest), strict=True)
    chosen: int = rng.choices(lengths, weights)[0]
    return chosen


_TAKING: dict[str, list[Operation]] = {
    kind: [operation for operation in OPERATIONS.values() if operation.takes == kind] for kind in KINDS
}


def _sample_chain(rng: random.Random, length: int) -> tuple[Step, ...]:
    chain: list[Step] = []
    operations = list(OPERATIONS.values())
    for _ in range(length):
        operation = rng.choice(operations)
        constant = rng.choice(operation.constants) if operation.constants else None
        chain.append(Step(operation, constant))
        operations = _TAKING[operation.gives]
    return tuple(chain)


def _sample_value(steps: tuple[Step, ...], rng: random.Random) -> Any:
    kind = steps[0].operation.takes
    if kind == "ints":
        return _sample_numbers(steps, rng)
    if kind == "int":
        return rng.randint(0, 60)
    words = [rng.choice(WORDS) for _ in range(rng.randint(3, 5))]
    return words if kind == "strs" else " ".join(words[: rng.randint(1, 3)])


def _sample_numbers(steps: tuple[Step, ...], rng: random.Random) -> list[int]:
    names = {step.operation.name for step in steps}
    lowest = -12 if names & _NEED_NEGATIVES else 0
    numbers = [rng.randint(lowest, rng.choice((9, 20))) for _ in range(rng.randint(3, 6))]
    if rng.random() < 0.3 or "unique" in names:
        numbers[rng.randrange(1, len(numbers))] = numbers[0]
    if steps[0].operation.name == "count_equal":
        for index in range(len(numbers)):
            if rng.random() < 0.4:
                numbers[index] = int(steps[0].constant or 0)
    return numbers
