# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Arithmetic word problems of one or two steps: the small sister of GSM8K."""

import random
from dataclasses import dataclass

from codingspot.testbed.english.items import Item, draw_in_split
from codingspot.testbed.english.words import THINGS, two_people

CHANCE = 0.0


@dataclass(frozen=True)
class ArithmeticItem(Item):
    """A question, and its answer: one equation a line, then ``#### `` and the number."""

    question: str
    answer: str


@dataclass(frozen=True)
class Template:
    """A question, the operators of its steps, and the largest first number.

    A step applies its operator to the result so far and the next number; where `both` is set, the last step adds the
    first number again ("together").
    """

    text: str
    operators: str
    both: bool = False


TEMPLATES = {
    "get": Template(
        "{name} has {x} {things}. {other} gives {name} {y} more. How many {things} does {name} have now?", "+"
    ),
    "find": Template(
        "{name} finds {x} {things} in the morning and {y} in the evening. How many {things} is that in all?",
        "+",
    ),
    "lose": Template("{name} has {x} {things}. {She} gives {y} of them to {other}. How many {things} are left?", "-"),
    "sell": Template(
        "There are {x} {things} in a shop. {name} buys {y} of them. How many {things} are still in the shop?",
        "-",
    ),
    "boxes": Template("{name} has {x} boxes with {y} {things} in each box. How many {things} does {name} have?", "*"),
    "price": Template("{name} buys {x} {things}. Each one costs {y} dollars. How many dollars does {she} pay?", "*"),
    "get_lose": Template(
        "{name} has {x} {things}. {She} gets {y} more and then loses {z}. How many {things} does {name} have at the end?",
        "+-",
    ),
    "lose_get": Template(
        "{name} has {x} {things}. {She} gives {y} to {other} and then finds {z} more. How many {things} does {name} have now?",
        "-+",
    ),
    "three_days": Template(
        "{name} counts {x} {things} on Monday, {y} on Tuesday and {z} on Friday. How many {things} is that in all?",
        "++",
    ),
    "boxes_more": Template(
        "{name} has {x} boxes with {y} {things} in each box, and {z} more on the table. How many {things} is that in all?",
        "*+",
    ),
    "boxes_lose": Template(
        "There are {x} bags with {y} {things} in each bag. {name} takes {z} of them. How many {things} are left?",
        "*-",
    ),
    "together": Template(
        "{name} has {x} {things}. {other} has {y} more than {name}. How many {things} do they have together?",
        "+",
        both=True,
    ),
}
RESULT_LIMIT = 40


def calculate(operator: str, left: int, right: int) -> int:
    """The result of one step."""
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def steps_of(template: Template, numbers: tuple[int, ...]) -> list[tuple[int, str, int, int]]:
    """The worked steps, each as (left, operator, right, result)."""
    steps = []
    result = numbers[0]
    for operator, number in zip(template.operators, numbers[1:], strict=True):
        steps.append((result, operator, number, calculate(operator, result, number)))
        result = steps[-1][3]
    if template.both:
        steps.append((numbers[0], "+", result, numbers[0] + result))
    return steps


def _numbers(rng: random.Random, template: Template) -> tuple[int, ...]:
    """Numbers for which every step's result lies between 0 and `RESULT_LIMIT`."""
    while True:
        if template.operators[0] == "*":
            first: list[int] = [rng.randint(2, 6), rng.randint(2, 6)]
        elif template.operators[0] == "-":
            first = [rng.randint(3, 20), rng.randint(2, 15)]
        else:
            first = [rng.randint(2, 15), rng.randint(2, 15)]
        numbers = tuple(first + [rng.randint(2, 10) for _ in template.operators[1:]])
        if all(0 <= step[3] <= RESULT_LIMIT for step in steps_of(template, numbers)):
            return numbers


def _draw(rng: random.Random) -> tuple[str, ArithmeticItem]:
    name = rng.choice(list(TEMPLATES))
    template = TEMPLATES[name]
    numbers = _numbers(rng, template)
    person, other = two_people(rng)
    question = template.text.format(
        **person.slots(),
        other=other.name,
        things=rng.choice(list(THINGS.values())),
        **dict(zip("xyz", map(str, numbers), strict=False)),
    )
    steps = steps_of(template, numbers)
    equations = [f"{left} {operator} {right} = {result}" for left, operator, right, result in steps]
    key = f"arithmetic|{name}|{','.join(map(str, numbers))}"
    return key, ArithmeticItem(key, question, "\n".join([*equations, f"#### {steps[-1][3]}"]))


def sample(rng: random.Random, held_out: bool) -> ArithmeticItem:
    """An item of the asked split; the split is over (template, numbers)."""
    return draw_in_split(_draw, rng, held_out)


def prompt(item: ArithmeticItem) -> str:
    """The text an answer is generated after; the answer follows a space."""
    return f"Question: {item.question}\nAnswer:"


def _drill(rng: random.Random) -> str:
    """A page of plain sums."""
    lines = []
    for _ in range(rng.randint(8, 14)):
        operator = rng.choice("+-*")
        left, right = (
            (rng.randint(2, 6), rng.randint(2, 6)) if operator == "*" else (rng.randint(1, 30), rng.randint(1, 15))
        )
        if operator == "-" and left < right:
            left, right = right, left
        lines.append(f"{left} {operator} {right} = {calculate(operator, left, right)}")
    return "\n".join(lines)


def training_text(rng: random.Random) -> str:
    """Two to five worked problems, now and then a page of plain sums."""
    if rng.random() < 0.1:
        return _drill(rng)
    drawn = (sample(rng, held_out=False) for _ in range(rng.randint(2, 5)))
    return "\n\n".join(f"{prompt(item)} {item.answer}" for item in drawn)
