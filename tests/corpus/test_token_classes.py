"""Classes of tokens, in code of every grammar and in other text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.corpus.languages import PURIFIABLE
from codingspot.corpus.token_classes import TOKEN_CLASSES, token_classes


def classes(text: str, language: str | None) -> dict[str, str]:
    """The class of each word or symbol with the blanks before it, by its text."""
    spans = [found.span() for found in re.finditer(r"\s*\w+|\s*[^\w\s]|\s+", text)]
    found = token_classes(text, spans, language)
    return {text[start:end].strip(): TOKEN_CLASSES[number] for (start, end), number in zip(spans, found, strict=True)}


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "python",
            "def f(x: list[int]) -> bool:\n    return x[1] == 'é (' and None  # why (\n",
            "def keyword, f name, [ opening bracket, ] closing bracket, : punctuation, > operator, return keyword, "
            "1 literal, é literal, ( comment, None keyword, and keyword, why comment",
        ),
        ("javascript", "const a = `x ${b}`;", "const keyword, x literal, $ punctuation, { opening bracket, b name"),
        (
            "c",
            "#include <a.h>\nint main() { return 0x1F; }",
            "include keyword, h literal, 0x1F literal, } closing bracket",
        ),
        ("bash", 'for f in $(ls); do echo "$f"; done', "for keyword, ( opening bracket, done keyword, echo name"),
        ("java", "class A { boolean b = !true; }", "class keyword, A name, ! operator, true keyword"),
        ("julia", "x = a + b * 2", "x name, = operator, + operator, * operator, 2 literal"),
        (
            "c",
            "#define MAX(a, b) ((a) > (b) ? (a) : (b))\nvoid f(int x) {}",
            ") closing bracket, { opening bracket, void keyword, int keyword, MAX name",
        ),
        ("csharp", 'var s = $"a{x}b"; object o = null; int i;', "{ opening bracket, x name, null keyword, int keyword"),
        ("java", "void f(boolean x) { y = null; }", "void keyword, boolean keyword, null keyword, y name"),
        ("rust", "fn f<T>(x: &str) -> T { x }", "fn keyword, & operator, str keyword, T name"),
        (None, "He said (in 1999): no — café.", "( opening bracket, 1999 literal, — punctuation, café word"),
        ("kotlin", "fun f(x) = 1", "fun word, ( opening bracket, = punctuation, 1 literal"),
    ],
)
def test_what_each_language_is_made_of(language: str | None, text: str, expected: str) -> None:
    found = classes(text, language)
    for each in expected.split(", "):
        token, _, kind = each.partition(" ")
        assert (token, found[token]) == (token, kind)


@pytest.mark.parametrize("language", PURIFIABLE)
def test_every_grammar_is_read(language: str) -> None:
    text = "if (a) { b = 1; }" if language != "julia" else "if (a) b = 1; end"
    found = classes(text, language)
    assert (found["if"], found["a"], found["("], found[")"]) == (
        "keyword",
        "name",
        "opening bracket",
        "closing bracket",
    )


@given(st.text(), st.sampled_from([None, *PURIFIABLE]))
def test_any_text_has_classes(text: str, language: str | None) -> None:
    """One a token, white space exactly where there is nothing else, whatever the text and however wide its letters."""
    spans = [(place, place + 1) for place in range(len(text))]
    found = token_classes(text, [*spans, (0, 0)], language)
    blank = TOKEN_CLASSES.index("white space")
    assert [number == blank for number in found] == [*(letter.isspace() for letter in text), True]
