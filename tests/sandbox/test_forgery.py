"""Programs that would like to pass without passing their test: those that fail, and those that are known to pass.

``KNOWN`` is the table of docs/sandbox.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codingspot.sandbox import Program, Sandbox, Verdict

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs/sandbox.md"
CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert abs(candidate(2) - 3) < 1e-6\n"
WRONG = "def f(x):\n    return 0\n"
TESTS = {
    "python": CHECK,
    "javascript": "require('assert').strictEqual(f(1), 2); console.assert(f(2) === 3);",
    "bash": '[[ "$(f 1)" == 2 ]] || exit 1',
}

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
    "looks for the secret in the frames": WRONG
    + "import os, sys\nframe = sys._getframe()\nwhile frame:\n"
    + "    for value in list(frame.f_locals.values()):\n"
    + "        if isinstance(value, str):\n            os.write(137, f'{value}\\npassed\\n'.encode())\n"
    + "    frame = frame.f_back\nos._exit(0)",
    "looks for the secret in memory": WRONG
    + "import os, re\nmemory = open('/proc/self/mem', 'rb', 0)\nfor line in open('/proc/self/maps'):\n"
    + "    if ' rw-p ' in line:\n        start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
    + "        memory.seek(start)\n"
    + "        for found in re.findall(rb'[0-9a-f]{32}', memory.read(end - start)):\n"
    + "            os.write(137, found + b'\\npassed\\n')\nos._exit(0)",
    "looks for the secret in every file": WRONG
    + "import os\nfor number in range(256):\n    try:\n        os.set_blocking(number, False)\n"
    + "        os.write(137, os.read(number, 4096) + b'\\npassed\\n')\n    except OSError:\n        pass\nos._exit(0)",
}

JAVASCRIPT = {
    "exits": "process.exit(0)",
    "exits when called": "function f(x) { process.exit(0); }",
    "returns": "function f(x) { return 0; }\nreturn 1;",
    "prints": "function f(x) { return 0; }\nconsole.log('passed'); require('fs').writeSync(137, 'passed');",
    "replaces": "function f(x) { return 0; }\nconsole.assert = () => {}; process.exit(0);",
    "pretends to exit": "function f(x) { return 0; }\nprocess.emit('exit', 0); process.emit('beforeExit', 0);",
    "calls what it was given": "arguments[5](); process.exit(0);",
    "calls all it was given": "for (const each of arguments) try { each(); } catch {}\nprocess.exit(0);",
    "calls its caller": "function f(x) { f.caller(); arguments.callee.caller(); return 0; }",
    "calls who waits for the end": "for (const name of process.eventNames())\n"
    + "  process.listeners(name).forEach((listener) => listener(0));\nprocess.exit(0);",
    "looks for the secret": "const fs = require('fs'), places = [0, '/proc/self/environ', process.argv[1]];\n"
    + "for (const place of places) fs.writeSync(137, `${fs.readFileSync(place, 'latin1')}\\npassed\\n`);\n"
    + "process.exit(0);",
}

BASH = {
    "exits": "exit 0",
    "exits when called": "f() { kill -9 $$; exit 0; }",
    "prints": "f() { echo 0; }\nprintf 'passed\\n' >&137; exit 0",
    "traps": "f() { echo 0; }\ntrap 'exit 0' EXIT",
    "hides exit": "f() { echo 0; }\nexit() { :; }\nunset() { :; }\nbuiltin() { :; }\nreturn() { :; }",
    "takes the test into its last line": "f() { echo 0; }\ntrue ||",
    "takes the test into its last word": "f() { echo 0; }\ntrue \\",
    "takes the test into a document": "f() { echo 0; }\ncat <<'EOF'",
    "looks for the secret": "for file in /dev/fd/[3-9] /dev/fd/2??; do\n"
    + "cat $file >&137; printf '\\npassed\\n' >&137; done\n"
    + "exit 0",
}

RUNNERS_PART = {
    "python": "import os\nos.write(137, b'finished\\n')\nos.write(137, os.read(137, 64) + b'passed\\n')\nos._exit(0)",
    "javascript": "const fs = require('fs'), answer = Buffer.alloc(64);\nfs.writeSync(137, 'finished\\n');\n"
    + "const length = fs.readSync(137, answer, 0, 64, null);\n"
    + "fs.writeSync(137, `${answer.latin1Slice(0, length)}passed\\n`);\nprocess.exit(0);",
    "bash": "echo finished >&137; read -r secret <&137; printf '%s\\npassed\\n' $secret >&137; exit 0",
}
KNOWN = {
    ("python", "returns what equals everything"): "class Any(float):\n"
    + "    def __eq__(self, other):\n        return True\n"
    + "    def __sub__(self, other):\n        return 0.0\n"
    + "def f(x):\n    return Any()",
    ("python", "speaks the runner's part"): RUNNERS_PART["python"],
    ("javascript", "replaces assert"): "function f(x) { return 0; }\n"
    + "require('assert').strictEqual = () => {}; console.assert = () => {};",
    ("javascript", "speaks the runner's part"): RUNNERS_PART["javascript"],
    ("bash", "skips the test by a debugger"): "f() { echo 0; }\nshopt -s extdebug\n"
    + "trap '[[ $BASH_COMMAND != \"[[\"* && $BASH_COMMAND != exit* ]]' DEBUG",
    ("bash", "speaks the runner's part"): RUNNERS_PART["bash"],
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(any_sandbox: Sandbox, name: str) -> None:
    outcome = any_sandbox.run([Program("python", PYTHON[name], CHECK, "f")])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER)


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(sandbox: Sandbox, name: str) -> None:
    if "javascript" not in sandbox.languages:
        pytest.skip("node is not installed")
    outcome = sandbox.run([Program("javascript", JAVASCRIPT[name], TESTS["javascript"])])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER)


@pytest.mark.parametrize("name", BASH)
def test_bash(sandbox: Sandbox, name: str) -> None:
    outcome = sandbox.run([Program("bash", BASH[name], TESTS["bash"])])[0]
    assert outcome.verdict in (Verdict.EXCEPTION, Verdict.WRONG_ANSWER, Verdict.SYNTAX_ERROR)


@pytest.mark.parametrize(("language", "name"), KNOWN)
def test_what_is_known_to_pass(sandbox: Sandbox, language: str, name: str) -> None:
    if language not in sandbox.languages:
        pytest.skip(f"the interpreter of {language} is not installed")
    entry_point = "f" if language == "python" else None
    outcome = sandbox.run([Program(language, KNOWN[language, name], TESTS[language], entry_point)])[0]
    assert outcome.verdict == Verdict.PASSED


def test_the_documentation_names_what_is_known_to_pass_and_counts_what_fails() -> None:
    rows = [line.split("|") for line in DOCUMENTATION.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    told = {(row[1].strip().lower(), int(row[2]), row[3].strip()) for row in rows if row[2].strip().isdigit()}
    tried = {"python": PYTHON, "javascript": JAVASCRIPT, "bash": BASH}
    names = {each: "; ".join(name for language, name in KNOWN if language == each) for each in tried}
    assert told == {(language, len(failing), names[language]) for language, failing in tried.items()}


def test_javascript_that_leaves_while_its_test_waits(sandbox: Sandbox) -> None:
    if "javascript" not in sandbox.languages:
        pytest.skip("node is not installed")
    wait = "await new Promise((go) => setTimeout(go, 100)); return"
    test = "f(1).then((found) => require('assert').strictEqual(found, 2));"
    sources = [f"async function f(x) {{ setImmediate(() => process.exit(0)); {wait} 0; }}"]
    sources += [f"async function f(x) {{ {wait} {value}; }}" for value in (0, 2)]
    outcomes = sandbox.run([Program("javascript", source, test) for source in sources])
    assert [each.verdict for each in outcomes] == [Verdict.EXCEPTION, Verdict.WRONG_ANSWER, Verdict.PASSED]


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
