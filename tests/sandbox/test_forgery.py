"""Programs that would like to pass without passing their test."""

from __future__ import annotations

import pytest

from codingspot.sandbox import Program, Sandbox, Verdict

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert abs(candidate(2) - 3) < 1e-6\n"
WRONG = "def f(x):\n    return 0\n"

PYTHON = {
    "leaves at once": "import os\nos._exit(0)",
    "exits": "import sys\nsys.exit(0)",
    "leaves when called": "import os\ndef f(x):\n    os._exit(0)",
    "exits when called": "def f(x):\n    raise SystemExit",
    "prints the verdict": WRONG + "print('passed', flush=True)\nimport os\nos._exit(0)",
    "writes the verdict to every file": WRONG
    + "import os\nfor number in range(256):\n"
    + "    try:\n        os.write(number, b'passed\\n')\n    except OSError:\n        pass\n",
    "closes every file": WRONG + "import os\nos.closerange(0, 256)",
    "replaces builtins": WRONG + "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = Warning",
    "hides builtins": "abs = lambda x: 0\ndef f(x):\n    return 2",
    "defines its own check": WRONG + "def check(candidate):\n    pass",
    "runs no test at exit": WRONG + "import atexit, os\natexit.register(os._exit, 0)",
    "goes on in a child": WRONG + "import os\nif os.fork():\n    os._exit(0)",
    "leaves in a thread": "import os, threading\n"
    + "def f(x):\n    threading.Thread(target=os._exit, args=(0,)).start()\n",
    "replaces the writer": WRONG + "import os, sys\nos.write = print\nsys.exit = lambda *a: None",
    "replaces itself": WRONG + "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo passed; exit 0'])",
    "empties the module table": WRONG + "import sys\nsys.modules.clear()",
}

JAVASCRIPT = {
    "exits": "process.exit(0)",
    "exits when called": "function f(x) { process.exit(0); }",
    "returns": "function f(x) { return 0; }\nreturn 1;",
    "prints": "function f(x) { return 0; }\nconsole.log('passed'); require('fs').writeSync(137, 'passed');",
    "replaces": "function f(x) { return 0; }\nconsole.assert = () => {}; process.exit(0);",
    "pretends to exit": "function f(x) { return 0; }\nprocess.emit('exit', 0);",
}

BASH = {
    "exits": "exit 0",
    "exits when called": "f() { kill -9 $$; exit 0; }",
    "prints": "f() { echo 0; }\nprintf 'passed\\n' >&137; exit 0",
    "traps": "f() { echo 0; }\ntrap 'exit 0' EXIT",
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(any_sandbox: Sandbox, name: str) -> None:
    outcome = any_sandbox.run([Program("python", PYTHON[name], CHECK, "f")])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER)


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(sandbox: Sandbox, name: str) -> None:
    if "javascript" not in sandbox.languages:
        pytest.skip("node is not installed")
    test = "require('assert').strictEqual(f(1), 2);"
    outcome = sandbox.run([Program("javascript", JAVASCRIPT[name], test)])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER)


@pytest.mark.parametrize("name", BASH)
def test_bash(sandbox: Sandbox, name: str) -> None:
    outcome = sandbox.run([Program("bash", BASH[name], '[[ "$(f 1)" == 2 ]] || exit 1')])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER)


def test_closing_every_file_does_not_spoil_the_next_program(any_sandbox: Sandbox) -> None:
    closing = Program("python", PYTHON["closes every file"], CHECK, "f")
    right = Program("python", "def f(x):\n    return x + 1\n", CHECK, "f")
    assert [outcome.verdict for outcome in any_sandbox.run([closing, right] * 4)[1::2]] == [Verdict.PASSED] * 4


def test_a_builtin_that_the_candidate_hides_is_still_its_own(sandbox: Sandbox) -> None:
    source = "def sum(values):\n    return -1\ndef f(x):\n    return sum([x])\n"
    outcome = sandbox.run([Program("python", source, "def check(c):\n    assert c(1) == -1 and sum([1, 2]) == 3", "f")])
    assert outcome[0].verdict == Verdict.PASSED


def test_an_entry_point_may_have_the_name_of_a_builtin(sandbox: Sandbox) -> None:
    source = "def sum(values):\n    return -1\n"
    outcome = sandbox.run([Program("python", source, "def check(c):\n    assert c([1]) == -1", "sum")])
    assert outcome[0].verdict == Verdict.PASSED
