"""The abstract form of a program: operations on four kinds of value, composed in one to three steps.

An operation means the same in every language the testbed renders: remainders are only taken of numbers that
are not negative, text is ASCII, and the vowels are the lower-case letters a, e, i, o and u.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

KINDS = ("int", "str", "ints", "strs")
"""The kinds of value: a whole number, a text, a list of whole numbers, a list of words."""

Value = int | str | list[int] | list[str]
Constant = int | str

VOWELS = "aeiou"


@dataclass(frozen=True)
class Operation:
    """One pure function from a value of kind ``takes`` to a value of kind ``gives``.

    ``constants`` are those it may be used with (empty: it has none); ``apply`` takes the value and, if there
    is one, the constant. ``phrase`` is its description as an order, with ``{c}`` for the constant; a phrase
    that starts with "take" becomes "return" in the last step.
    """

    name: str
    takes: str
    gives: str
    phrase: str
    apply: Callable[..., Any]
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True)
class Step:
    """An operation with its constant (None where the operation has none)."""

    operation: Operation
    constant: Constant | None = None

    @property
    def key(self) -> str:
        """The operation's name, followed by a colon and the constant if there is one."""
        return self.operation.name if self.constant is None else f"{self.operation.name}:{self.constant}"

    def run(self, value: Any) -> Any:
        """Apply the operation to ``value``.

        Raises:
            ValueError: the operation is not defined on ``value`` (a negative number).
        """
        if self.constant is None:
            return self.operation.apply(value)
        return self.operation.apply(value, self.constant)

    def phrase(self, last: bool) -> str:
        """Describe the step as an order in English."""
        words = self.operation.phrase.format(c=self.constant)
        return "return" + words.removeprefix("take") if last and words.startswith("take ") else words


@dataclass(frozen=True)
class Program:
    """A named function of one parameter: its steps, applied one after another.

    ``name`` is in snake_case; each language writes it by its own convention.
    """

    name: str
    parameter: str
    steps: tuple[Step, ...]

    @property
    def takes(self) -> str:
        """The kind of the parameter."""
        return self.steps[0].operation.takes

    @property
    def gives(self) -> str:
        """The kind of the result."""
        return self.steps[-1].operation.gives

    @property
    def key(self) -> str:
        """The composition without names, such as ``keep_even|add_each:3|sum``."""
        return "|".join(step.key for step in self.steps)

    @property
    def description(self) -> str:
        """What the program does, as one English sentence."""
        last = len(self.steps) - 1
        sentence = ", then ".join(step.phrase(index == last) for index, step in enumerate(self.steps))
        return sentence[0].upper() + sentence[1:] + "."

    def run(self, value: Any) -> Any:
        """Apply every step in turn to ``value``, of kind ``takes``; the result is of kind ``gives``.

        Raises:
            ValueError: a step is not defined on what it is given.
        """
        for step in self.steps:
            value = step.run(value)
        return value


def _not_negative(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


def _small(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_OPERATIONS = (
    # A list of numbers to a list of numbers.
    Operation("keep_even", "ints", "ints", "keep the even numbers", lambda v: [n for n in v if n % 2 == 0]),
    Operation("keep_odd", "ints", "ints", "keep the odd numbers", lambda v: [n for n in v if n % 2 != 0]),
    Operation(
        "keep_greater",
        "ints",
        "ints",
        "keep the numbers greater than {c}",
        lambda v, c: [n for n in v if n > c],
        _small(3, 9),
    ),
    Operation(
        "keep_multiples",
        "ints",
        "ints",
        "keep the multiples of {c}",
        lambda v, c: [n for n in v if n % c == 0],
        _small(3, 5),
    ),
    Operation("add_each", "ints", "ints", "add {c} to each number", lambda v, c: [n + c for n in v], _small(2, 9)),
    Operation(
        "multiply_each",
        "ints",
        "ints",
        "multiply each number by {c}",
        lambda v, c: [n * c for n in v],
        _small(2, 9),
    ),
    Operation("square_each", "ints", "ints", "square each number", lambda v: [n * n for n in v]),
    Operation(
        "absolute_each",
        "ints",
        "ints",
        "replace each number by its absolute value",
        lambda v: [abs(n) for n in v],
    ),
    Operation("reverse_list", "ints", "ints", "reverse the list", lambda v: v[::-1]),
    Operation("sort_numbers", "ints", "ints", "sort the numbers", lambda v: sorted(v)),
    Operation("unique", "ints", "ints", "remove the duplicates", lambda v: list(dict.fromkeys(v))),
    Operation("take_first", "ints", "ints", "take the first {c} numbers", lambda v, c: v[:c], _small(2, 4)),
    Operation("drop_first", "ints", "ints", "drop the first {c} numbers", lambda v, c: v[c:], _small(2, 4)),
    Operation("running_sum", "ints", "ints", "take the running sum", lambda v: list(accumulate(v))),
    Operation(
        "clip_negatives",
        "ints",
        "ints",
        "replace each negative number by zero",
        lambda v: [n if n > 0 else 0 for n in v],
    ),
    # A list of numbers to a number.
    Operation("sum", "ints", "int", "take the sum", lambda v: sum(v)),
    Operation("largest", "ints", "int", "take the largest number, or 0 if none", lambda v: max(v, default=0)),
    Operation("smallest", "ints", "int", "take the smallest number, or 0 if none", lambda v: min(v, default=0)),
    Operation("count", "ints", "int", "count the numbers", lambda v: len(v)),
    Operation("count_equal", "ints", "int", "count the numbers equal to {c}", lambda v, c: v.count(c), _small(2, 9)),
    # A number to a number.
    Operation("add", "int", "int", "add {c}", lambda v, c: v + c, _small(2, 9)),
    Operation("multiply", "int", "int", "multiply by {c}", lambda v, c: v * c, _small(2, 9)),
    Operation(
        "remainder",
        "int",
        "int",
        "take the remainder after division by {c}",
        lambda v, c: _not_negative(v) % c,
        _small(3, 9),
    ),
    Operation(
        "shift",
        "int",
        "int",
        "subtract {c} if greater than {c} or else add {c}",
        lambda v, c: v - c if v > c else v + c,
        _small(3, 9),
    ),
    Operation(
        "digit_sum",
        "int",
        "int",
        "take the sum of the digits",
        lambda v: sum(int(digit) for digit in str(_not_negative(v))),
    ),
    Operation(
        "sum_to",
        "int",
        "int",
        "take the sum of the numbers from 1 up to it",
        lambda v: _not_negative(v) * (v + 1) // 2,
    ),
    # A text to a text, a number or a list of words.
    Operation("uppercase", "str", "str", "change the text to upper case", lambda v: v.upper()),
    Operation("reverse_text", "str", "str", "reverse the text", lambda v: v[::-1]),
    Operation(
        "append_word",
        "str",
        "str",
        "add the word {c} at the end",
        lambda v, c: v + c,
        ("end", "now", "out", "too", "all"),
    ),
    Operation(
        "remove_vowels",
        "str",
        "str",
        "remove the vowels",
        lambda v: "".join(letter for letter in v if letter not in VOWELS),
    ),
    Operation("length", "str", "int", "take the length of the text", lambda v: len(v)),
    Operation("count_vowels", "str", "int", "count the vowels", lambda v: sum(letter in VOWELS for letter in v)),
    Operation("split_words", "str", "strs", "split the text into words", lambda v: v.split()),
    # A list of words to a list of words, a text, a number or a list of numbers.
    Operation(
        "keep_longer",
        "strs",
        "strs",
        "keep the words longer than {c} letters",
        lambda v, c: [word for word in v if len(word) > c],
        _small(2, 5),
    ),
    Operation("sort_words", "strs", "strs", "sort the words", lambda v: sorted(v)),
    Operation(
        "join",
        "strs",
        "str",
        "join the words with {c} between them",
        lambda v, c: c.join(v),
        ("-", "+", "/", "_"),
    ),
    Operation("count_words", "strs", "int", "count the words", lambda v: len(v)),
    Operation("word_lengths", "strs", "ints", "take the length of each word", lambda v: [len(word) for word in v]),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _OPERATIONS}
"""Every operation by name."""
