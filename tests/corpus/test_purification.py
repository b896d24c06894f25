"""Purified text is the same program: same tree, same tokens, and nothing left to purify."""

import ast
import gzip
import json
import random
import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nasty import NASTY
from trees import leaves, shape

from codingspot.corpus import purify
from codingspot.corpus.languages import PURIFIABLE
from codingspot.corpus.purification import purify_all
from codingspot.errors import CorpusError
from codingspot.testbed.programs import LANGUAGES, render, render_documented, sample_program

SHARED = Path(__file__).resolve().parents[2] / "../shared/data/mt-mbpp/parallel_functions.jsonl.gz"
CASES = [(language, written, pure) for language, cases in NASTY.items() for written, pure in cases]
LINE_COMMENT = {"bash": "#", "julia": "#", "python": "#", "ruby": "#"}
BLOCK_COMMENT = {"julia": ("#=", "=#"), "bash": None, "python": None, "ruby": None}
REMARKS = ("note", "don't", '"', "'", "`", "${x", "#{", "/* x", "a \\ b", "<b>", 'say "x"', "{", ")", "é ∀")


@cache
def pool(language: str) -> tuple[str, ...]:
    """Programs without comments."""
    rng = random.Random(7)
    made = [render(sample_program(rng), language) for _ in range(12)] if language in LANGUAGES else []
    if language in ("java", "csharp"):
        made = [f"class Main {{\n{code}\n}}\n" for code in made]
    # On preprocessor lines the grammars take comments in strings for comments, in PHP's here-documents text.
    pure = [pure for _, pure in NASTY[language] if shape(pure, language) and not re.search("#define|<<<", pure)]
    return (*made, *pure)


def mt_mbpp() -> list[dict[str, str]]:
    if not SHARED.exists():
        pytest.skip("mt-mbpp is not in ../shared/data")
    with gzip.open(SHARED, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("language", "written", "pure"), CASES)
def test_what_looks_like_a_comment_stays_and_what_is_one_goes(language: str, written: str, pure: str) -> None:
    assert purify(written, language) == pure


@pytest.mark.parametrize(("language", "written", "pure"), CASES)
def test_purifying_again_changes_nothing(language: str, written: str, pure: str) -> None:
    assert purify(pure, language) == pure


def test_every_language_has_cases_in_which_tokens_could_merge() -> None:
    assert NASTY.keys() == set(PURIFIABLE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_documented_programs_keep_their_tree(language: str) -> None:
    rng = random.Random(3)
    for _ in range(25):
        written = render_documented(sample_program(rng), language)
        pure = purify(written, language)
        assert purify(pure, language) == pure
        if language == "python":
            assert ast.dump(ast.parse(pure)) == ast.dump(undocumented(ast.parse(written)))
        elif language != "julia":  # its documentation is a string
            assert shape(pure, language) == shape(written, language)
        assert len(pure) < len(written)


@settings(deadline=None, max_examples=60)
@given(language=st.sampled_from(PURIFIABLE), data=st.data())
def test_line_comments_added_anywhere_go_again(language: str, data: st.DataObject) -> None:
    program = data.draw(st.sampled_from(pool(language)))
    marker = LINE_COMMENT.get(language, "//")
    lines = program.rstrip("\n").split("\n")
    commented = []
    for line in lines:
        # After a backslash the blank before a comment would be escaped.
        place = data.draw(st.sampled_from(("before", "no") if line.endswith("\\") else ("before", "after", "no")))
        remark = f"{marker} {data.draw(st.sampled_from(REMARKS))}"
        indent = line[: len(line) - len(line.lstrip())]
        commented += (
            [f"{indent}{remark}", line] if place == "before" else [f"{line}  {remark}" * (place == "after") or line]
        )
    written = "\n".join(commented) + "\n"
    assume(shape(written, language) == shape(program, language) != ())
    pure = purify(written, language)
    assert [line for line in pure.split("\n") if line] == [line for line in program.split("\n") if line.strip()]
    assert purify(pure, language) == pure


@settings(deadline=None, max_examples=60)
@given(language=st.sampled_from([name for name in PURIFIABLE if BLOCK_COMMENT.get(name, True)]), data=st.data())
def test_block_comments_between_any_tokens_leave_the_same_tokens(language: str, data: st.DataObject) -> None:
    program = data.draw(st.sampled_from(pool(language)))
    opening, closing = BLOCK_COMMENT.get(language) or ("/*", "*/")
    source = program.encode()
    gaps = data.draw(st.lists(st.sampled_from([leaf.end_byte for leaf in leaves(program, language)]), max_size=6))
    for gap in sorted(set(gaps), reverse=True):
        # A newline in a comment of these ends a statement, which their grammars don't know.
        remarks = REMARKS if language in ("go", "javascript", "typescript") else (*REMARKS, "a\n b")
        remark = data.draw(st.sampled_from([remark for remark in remarks if "/*" not in remark]))
        source = source[:gap] + f"{opening}{remark}{closing}".encode() + source[gap:]
    written = source.decode()
    assume(shape(written, language) == shape(program, language) != ())
    pure = purify(written, language)
    assert shape(pure, language) == shape(program, language)
    assert purify(pure, language) == pure


@settings(deadline=None, max_examples=80)
@given(language=st.sampled_from(PURIFIABLE), data=st.data())
def test_any_text_ends_up_with_nothing_left_to_purify(language: str, data: st.DataObject) -> None:
    programs = [written for written, _ in NASTY[language]] + ["This is what the program does:\n", "It's done.\n"]
    pieces = data.draw(st.lists(st.sampled_from(programs), min_size=1, max_size=3))
    text = "".join(pieces)
    cut = data.draw(st.integers(0, len(text)))
    pure = purify(
        text[:cut] + data.draw(st.sampled_from(("", '"', "'", "/*", "#", "{", "\r\n"))) + text[cut:], language
    )
    assert purify(pure, language) == pure


@pytest.mark.parametrize("language", sorted(set(PURIFIABLE) - {"julia"}))
def test_translated_problems_keep_their_tree(language: str) -> None:
    texts = [row["code"] for row in mt_mbpp() if row["language"] == language][:60]
    assert len(texts) == 60
    parsed = 0
    for text in texts:
        pure = purify(text, language)
        assert purify(pure, language) == pure
        if shape(text, language):
            parsed += 1
            assert shape(pure, language) == shape(text, language)
    assert parsed >= 50


def test_code_without_comments_comes_back_as_it_was() -> None:
    unmarked = [row for row in mt_mbpp() if row["language"] in ("c", "java", "javascript", "typescript", "csharp")]
    unmarked = [row for row in unmarked if not re.search(r"//|/\*", row["code"])][::20]
    assert len(unmarked) > 80
    assert all(purify(row["code"], row["language"]) == row["code"] for row in unmarked)


def undocumented(tree: ast.Module) -> ast.Module:
    """A module of Python's own parser without statements that are only a string."""

    def is_text(node: ast.stmt) -> bool:
        return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                left = [child for child in body if not is_text(child)]
                setattr(node, name, left or ([ast.Pass()] if body and not isinstance(node, ast.Module) else []))
    return tree


@pytest.mark.parametrize("module", ["json/encoder", "textwrap", "bisect", "enum", "string", "contextlib", "heapq"])
def test_python_agrees_that_its_library_is_the_same_program(module: str) -> None:
    written = Path(sysconfig.get_path("stdlib"), f"{module}.py").read_text(encoding="utf-8")
    pure = purify(written, "python")
    assert ast.dump(ast.parse(pure)) == ast.dump(undocumented(ast.parse(written)))
    assert len(pure) < 0.9 * len(written)


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_the_preprocessor_removes_the_same_comments(language: str) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    for written, _ in NASTY[language]:
        if "#if" in written or "#error" in written or "\\\n" in written:
            continue  # carried out, or already done in text that is preprocessed
        command = [compiler, "-fpreprocessed", "-dD", "-E", "-P", "-x", "c" if language == "c" else "c++", "-"]
        done = subprocess.run(command, input=written, capture_output=True, text=True, check=True)
        assert unspaced(done.stdout) == unspaced(purify(written, language))


def unspaced(text: str) -> str:
    return re.sub(r"[\s\\]", "", text)


def test_prose_between_code_goes() -> None:
    answer = (
        "Here is the function that you asked for:\n"
        "def add(a, b):\n"
        "    return a + b\n"
        "\n"
        "It's called with two numbers, and it returns the sum.\n"
        "print(add(1, 2))\n"
    )
    assert purify(answer, "python") == "def add(a, b):\n    return a + b\n\nprint(add(1, 2))\n"
    shell = "Run this script as follows:\n./x.sh -n 3\ncat <<EOF\nThis is the help text.\nEOF\n"
    assert purify(shell, "bash") == "./x.sh -n 3\ncat <<EOF\nThis is the help text.\nEOF\n"


def test_the_number_of_processes_changes_nothing() -> None:
    documents = [(written, language) for language, written, _ in CASES] * 3 + [("plain # text", None)]
    assert len(documents) > 128
    alone = list(purify_all(iter(documents)))
    assert alone == list(purify_all(iter(documents), workers=2))
    assert alone == [pure for _, _, pure in CASES] * 3 + ["plain # text"]


def test_languages_without_a_grammar_are_refused() -> None:
    with pytest.raises(CorpusError, match="haskell can't be purified"):
        purify("x = 1", "Haskell")
    with pytest.raises(CorpusError, match="unknown programming language 'Klingon'"):
        purify("x", "Klingon")
