import gzip
import json
import re
from pathlib import Path

import pytest

from codingspot.corpus import purify
from codingspot.corpus.prose import reads_as_sentence

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


@pytest.mark.parametrize(
    "line",
    [
        "Here is the code:",
        "This function adds two numbers.",
        "1. First, we define `foo` in order to use it",
        "- **Time complexity:** O(n log n) where n is the size",
        "code in order to sort the array",
        "It's what you'd want (mostly), isn't it?",
    ],
)
def test_sentences(line: str) -> None:
    assert reads_as_sentence(line)


@pytest.mark.parametrize(
    "line",
    [
        "for (const item of list) {",
        "if x is not None and y in z:",
        'puts "the answer is that which you want"',
        "return the",
        "from os import path as the_path",
        "SELECT name FROM people WHERE age > 3;",
        "case largest of",
        "public static final int MAX = 3;",
        "",
    ],
)
def test_lines_of_code(line: str) -> None:
    assert not reads_as_sentence(line)


def test_only_complete_sentences_where_words_parse() -> None:
    assert reads_as_sentence("Run this as follows:", complete=True)
    assert not reads_as_sentence("echo this to the file", complete=True)
    assert purify("echo this to the file\nfor\n", "bash") == "echo this to the file\nfor\n"


def test_sentences_stay_where_the_text_parses_or_in_strings() -> None:
    parses = "static String the = to.that(which);\n"
    assert purify(parses, "java") == parses
    text = 'x = """\nThis is a text that stays.\n"""\nprint(\n'
    assert purify(text, "python") == text
    assert purify("puts <<~A\n  This is a text that stays.\nA\n", "ruby").count("stays") == 1


def test_no_line_of_translated_problems_reads_as_a_sentence() -> None:
    file = SHARED / "mt-mbpp/parallel_functions.jsonl.gz"
    if not file.exists():
        pytest.skip("mt-mbpp is not in ../shared/data")
    with gzip.open(file, "rt", encoding="utf-8") as rows:
        lines = {line.strip() for row in rows for line in json.loads(row)["code"].split("\n")}
    code = [line for line in lines if not line.startswith(("#", "//", "%", "--", "*"))]
    assert len(code) > 20_000
    assert [line for line in code if reads_as_sentence(line)] == []


def test_most_lines_of_an_encyclopedia_do() -> None:
    file = SHARED / "english/wiki_demo.txt"
    if not file.exists():
        pytest.skip("english/wiki_demo.txt is not in ../shared/data")
    sentences = [one for one in re.split(r"(?<=[.])\s+", file.read_text(encoding="utf-8")) if len(one.split()) > 4]
    assert sum(map(reads_as_sentence, sentences[:2_000])) > 1_900
