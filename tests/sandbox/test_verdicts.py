"""Every verdict, in every language, with and without isolation."""

from __future__ import annotations

import pytest

from codingspot.sandbox import Outcome, Program, Sandbox, Verdict

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-1) == 0\n"
INCREMENT = "def increment(x):\n    return x + 1\n"


def python(source: str, test: str = CHECK, entry_point: str | None = "increment") -> Program:
    return Program("python", source, test, entry_point)


PYTHON = [
    (python(INCREMENT), Verdict.PASSED, ""),
    (python("def increment(x):\n    return 2 * x\n"), Verdict.WRONG_ANSWER, "AssertionError"),
    (python(INCREMENT, "def check(f):\n    assert f(1) == 3, 'not three'"), Verdict.WRONG_ANSWER, "not three"),
    (python("def increment(x):\n    return y\n"), Verdict.EXCEPTION, "NameError: name 'y' is not defined"),
    (python("def increment(x):\n    assert x > 5\n"), Verdict.EXCEPTION, "AssertionError"),
    (python("def decrement(x):\n    return x - 1\n"), Verdict.EXCEPTION, "KeyError: 'increment'"),
    (python("def increment(x):\n    return increment(x)\n"), Verdict.EXCEPTION, "RecursionError"),
    (python("raise SystemExit(0)\n"), Verdict.EXCEPTION, "SystemExit: 0"),
    (python("import numpy_is_not_here\n"), Verdict.EXCEPTION, "ModuleNotFoundError"),
    (python("def increment(x):\n    return input()\n"), Verdict.EXCEPTION, "EOFError"),
    (python("def increment(x:\n    return x\n"), Verdict.SYNTAX_ERROR, "'(' was never closed (line 1)"),
    (python("def increment(x):\nreturn x\n"), Verdict.SYNTAX_ERROR, "IndentationError"),
    (python("x = '\0'\n"), Verdict.SYNTAX_ERROR, "null bytes"),
    (python("x = '\ud800'\n"), Verdict.SYNTAX_ERROR, "UnicodeEncodeError"),
    (python("x = '''\n"), Verdict.SYNTAX_ERROR, "unterminated"),
    (python("def increment(x):\n    while True:\n        pass\n"), Verdict.TIMED_OUT, "ran longer than 0.5 s"),
    (python("import time\ntime.sleep(100)\n"), Verdict.TIMED_OUT, "ran longer than 0.5 s"),
    (python("x = bytearray(10**10)\n"), Verdict.KILLED, "MemoryError"),
    (python("import ctypes\nctypes.string_at(0)\n"), Verdict.KILLED, "signal 11"),
    (python("x = 1\n", "assert x == 1", None), Verdict.PASSED, ""),
    (python("x = 1\n", "assert x == 2", None), Verdict.WRONG_ANSWER, ""),
    (python("x = 1\n", "assert x ==", None), Verdict.EXCEPTION, "SyntaxError"),
]

JAVASCRIPT = [
    ("const f = (x) => x + 1;", "console.assert(f(1) === 2);", Verdict.PASSED, ""),
    ("function f(x) { return x + 1; }", "require('assert').strictEqual(f(1), 2);", Verdict.PASSED, ""),
    ("const f = (x) => x;", "console.assert(f(1) === 2, 'f(1)');", Verdict.WRONG_ANSWER, "f(1)"),
    ("const f = (x) => x;", "require('assert').strictEqual(f(1), 2);", Verdict.WRONG_ANSWER, "1 !== 2"),
    ("const f = (x) => y;", "f(1);", Verdict.EXCEPTION, "ReferenceError: y is not defined"),
    ("async function f() { throw new Error('late'); }", "f();", Verdict.EXCEPTION, "Error: late"),
    ("process.exit(0);", "", Verdict.EXCEPTION, "left with status 0"),
    ("return;", "console.assert(false);", Verdict.EXCEPTION, "Illegal return statement"),
    ("const f = (x) => {", "", Verdict.SYNTAX_ERROR, "SyntaxError: Unexpected"),
    ("while (true) {}", "", Verdict.TIMED_OUT, "ran longer than 0.5 s"),
]

BASH = [
    ("f() { echo $(($1 + 1)); }", '[[ "$(f 1)" == 2 ]] || exit 1', Verdict.PASSED, ""),
    ("f() { cat <(echo $1) /dev/stdin <<< x; }", "[[ \"$(f 1)\" == $'1\\nx' ]] || exit 1", Verdict.PASSED, ""),
    ("f() { echo $1; }", '[[ "$(f 1)" == 2 ]] || exit 1', Verdict.WRONG_ANSWER, "status 1"),
    ("f() { echo $1; }", '[[ "$(f 1)" == 2 ]]', Verdict.WRONG_ANSWER, "status 1"),
    ("f() { echo $1; }", "g 1", Verdict.EXCEPTION, "g: command not found"),
    ("exit 0", "", Verdict.EXCEPTION, "left with status 0"),
    ("f() { echo $1;", '[[ "$(f 1)" == 1 ]] || exit 1', Verdict.SYNTAX_ERROR, "unexpected end of file"),
    ("f() { while :; do :; done; }", "f", Verdict.TIMED_OUT, "ran longer than 0.5 s"),
]


def check_all(sandbox: Sandbox, cases: list[tuple[Program, Verdict, str]]) -> None:
    """Run all cases at a time, because some take a second, and compare verdicts and details."""
    outcomes = sandbox.run([program for program, _, _ in cases])
    assert [outcome.verdict for outcome in outcomes] == [expected for _, expected, _ in cases]
    for outcome, (_, _, detail) in zip(outcomes, cases, strict=True):
        assert detail in outcome.detail


def test_python(any_sandbox: Sandbox) -> None:
    check_all(any_sandbox, PYTHON)


def test_javascript(sandbox: Sandbox) -> None:
    if "javascript" not in sandbox.languages:
        pytest.skip("node is not installed")
    check_all(sandbox, [(Program("javascript", source, test), *rest) for source, test, *rest in JAVASCRIPT])


def test_bash(any_sandbox: Sandbox) -> None:
    check_all(any_sandbox, [(Program("bash", source, test), *rest) for source, test, *rest in BASH])


def test_javascript_without_isolation(unsafe_sandbox: Sandbox) -> None:
    if "javascript" not in unsafe_sandbox.languages:
        pytest.skip("node is not installed")
    program = Program("javascript", "const x = 1;", "console.assert(x === 1);")
    assert unsafe_sandbox.run([program]) == [Outcome(Verdict.PASSED)]


@pytest.mark.parametrize("completion", ["", "  \n\t\n"])
def test_blank_completion_is_empty_whatever_the_prompt(sandbox: Sandbox, completion: str) -> None:
    program = Program("python", INCREMENT + completion, CHECK, "increment", completion)
    assert sandbox.run([program]) == [Outcome(Verdict.EMPTY)]


def test_blank_source_is_empty(sandbox: Sandbox) -> None:
    assert sandbox.run([Program("python", " \n", "")]) == [Outcome(Verdict.EMPTY)]


def test_detail_is_one_short_line(sandbox: Sandbox) -> None:
    (outcome,) = sandbox.run([python("raise ValueError('first\\n' + 'x' * 1000)\n")])
    assert "\n" not in outcome.detail
    assert 0 < len(outcome.detail) <= 300


def test_ordinary_python_works(patient_sandbox: Sandbox) -> None:
    source = """
import collections, dataclasses, json, math, multiprocessing, pathlib, pickle, random, re, tempfile, threading, typing
@dataclasses.dataclass
class Point:
    x: int
    y: typing.Optional[int] = None
def double(x): return 2 * x
"""
    test = """
assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
assert typing.get_type_hints(Point)["x"] is int
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "a").write_text("b")
with multiprocessing.Pool(2) as pool:
    assert pool.map(double, range(5)) == [0, 2, 4, 6, 8]
thread = threading.Thread(target=lambda: None)
thread.start(); thread.join()
"""
    assert patient_sandbox.run([python(source, test, None)]) == [Outcome(Verdict.PASSED)]


def test_randomness_and_hashes_are_the_same_in_every_run(sandbox: Sandbox) -> None:
    program = python("import random\n", "raise ValueError(random.random(), hash('word'))", None)
    assert len({outcome.detail for outcome in sandbox.run([program] * 6)}) == 1
