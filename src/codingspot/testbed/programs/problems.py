"""Code benchmarks: held-out programs to complete from their signature and description, with tests.

The Python problems have HumanEval's schema. The JavaScript and Bash problems are the same programs.
"""

from __future__ import annotations

import json
import random
from typing import Any

from codingspot.testbed.programs.engine import body, function_name, prompt
from codingspot.testbed.programs.operations import Program, Value
from codingspot.testbed.programs.sampling import edge_input, sample_input, sample_program

Problem = dict[str, str]


def python_problems(count: int = 164, seed: int = 0) -> list[Problem]:
    """Problems whose ``test`` defines ``check(candidate)``, which raises AssertionError on a wrong result."""
    return _problems("python", count, seed)


def javascript_problems(count: int = 164, seed: int = 0) -> list[Problem]:
    """Problems whose ``test`` is source that, run after the completed function, throws on a wrong result."""
    return _problems("javascript", count, seed)


def bash_problems(count: int = 164, seed: int = 0) -> list[Problem]:
    """Problems whose ``test`` is source that, run after the completed function, exits 1 on a wrong result."""
    return _problems("bash", count, seed)


def bash_argument(value: Value) -> str:
    """``value`` as arguments of a Bash function: one for a text or a number, one an element for a list."""
    if isinstance(value, list):
        return " ".join(str(element) for element in value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def bash_result(value: Value) -> str:
    """What a Bash function that gives ``value`` echoes: a list's elements are separated by spaces."""
    return " ".join(str(element) for element in value) if isinstance(value, list) else str(value)


def _problems(language: str, count: int, seed: int) -> list[Problem]:
    """``count`` problems with distinct keys and names, every one with task_id, prompt, canonical_solution,
    test, entry_point and key (the composition)."""
    rng = random.Random(seed)
    problems: list[Problem] = []
    keys: set[str] = set()
    while len(problems) < count:
        program = sample_program(rng, held_out=True)
        cases = _cases(program, rng)
        if program.key in keys or len({repr(result) for _, result in cases}) < 3:
            continue
        keys.add(program.key)
        problems.append(
            {
                "task_id": f"Testbed/{len(problems)}",
                "prompt": prompt(program, language),
                "canonical_solution": body(program, language) + "\n",
                "test": _TESTS[language](function_name(program, language), cases),
                "entry_point": function_name(program, language),
                "key": program.key,
            }
        )
    return problems


def _cases(program: Program, rng: random.Random) -> list[tuple[Any, Any]]:
    values = [sample_input(program, rng) for _ in range(5)] + [edge_input(program)]
    return [(value, program.run(value)) for value in values]


def _python_test(_name: str, cases: list[tuple[Any, Any]]) -> str:
    lines = [f"    assert candidate({value!r}) == {result!r}" for value, result in cases]
    return "\n".join(["def check(candidate):", *lines]) + "\n"


def _javascript_test(name: str, cases: list[tuple[Any, Any]]) -> str:
    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    lines = [
        f"if (JSON.stringify({name}({json.dumps(value)})) !== {json.dumps(compact(result))}) "
        'throw new Error("wrong answer");'
        for value, result in cases
    ]
    return "\n".join(lines) + "\n"


def _bash_test(name: str, cases: list[tuple[Any, Any]]) -> str:
    lines = [f'[ "$({name} {bash_argument(value)})" = "{bash_result(result)}" ] || exit 1' for value, result in cases]
    return "\n".join(lines) + "\n"


_TESTS = {"python": _python_test, "javascript": _javascript_test, "bash": _bash_test}
