# ruff: noqa: E501 (word lists)
import random
import re

import pytest

from codingspot.testbed.english import general, general_text, papers, signs
from codingspot.testbed.english.words import join_and, with_article

# fmt: off
CODE_WORDS = [
    "return", "for", "if", "else", "while", "do", "done", "end", "in", "of", "let", "new", "class",
    "print", "filter", "map", "function", "public", "static", "local", "int", "string", "text",
    "number", "values", "list", "item", "items", "result", "total", "sum", "count", "length", "reverse",
    "sort", "split", "join", "push", "add", "append", "first", "last", "largest", "smallest", "even",
    "odd", "upper", "lower", "words", "begin", "type", "const", "var", "void", "null", "true", "false",
    "not", "and", "or", "then", "echo", "range", "collect", "iter", "step", "lambda", "abs", "max",
    "min", "vector", "auto", "size", "char", "def", "func", "fn", "mut", "self", "use", "over", "key",
    "index",
]
SIGNS = ['(', ')', '[', ']', '{', '}', '<', '>', '=', '==', '+', '-', '*', '/', '%', '$', '#', '@', '&', '|', '!', '?', ':', ';', ',', '.', '_', "'", '"', '`', '\\', '=>', '->', '++', '+=', '!=', '();']
# fmt: on


@pytest.mark.parametrize("kind", general.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_fills_all_its_slots(kind) -> None:
    rng = random.Random(0)
    for _ in range(50):
        text = kind(rng)
        assert len(text.split()) >= 8
        assert not re.search(r"\{[a-z_]+2?\}", text)


def test_words_and_signs_of_programs_occur_in_english() -> None:
    rng = random.Random(1)
    text = "\n".join(general_text(rng) for _ in range(6000))
    found = set(re.findall(r"[a-z]+", text.lower()))
    assert [word for word in CODE_WORDS if word not in found] == []
    assert [sign for sign in SIGNS if sign not in text] == []


def test_receipts_add_up() -> None:
    rng = random.Random(2)
    for _ in range(100):
        text = papers.receipt(rng)
        lines = re.findall(r": (\d+) \* \$(\d+) = \$(\d+)", text)
        assert all(int(count) * int(price) == int(cost) for count, price, cost in lines)
        assert sum(int(cost) for *_, cost in lines) == int(re.search(r"total = \$(\d+)", text).group(1))


def test_number_lessons_are_true() -> None:
    rng = random.Random(3)
    for _ in range(200):
        text = signs.number_lesson(rng)
        numbers = [int(number) for number in re.search(r"board: \[(.*)\]", text).group(1).split(", ")]
        for found in re.findall(r"largest number is (\d+)", text):
            assert int(found) == max(numbers)
        for found in re.findall(r"The even numbers are \{([^}]*)\}", text):
            assert [int(n) for n in found.split(", ") if n] == [n for n in numbers if n % 2 == 0]


def test_joining_and_articles() -> None:
    assert join_and(["a"]) == "a"
    assert join_and(["a", "b", "c"]) == "a, b and c"
    assert with_article("owl") == "an owl"
    assert with_article("fox") == "a fox"
