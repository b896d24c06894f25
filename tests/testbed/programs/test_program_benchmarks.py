"""The benchmarks made of programs: problems, comprehension, calls and translation passages."""

from __future__ import annotations

import ast
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codingspot.testbed.programs import (
    LANGUAGES,
    bash_problems,
    call_example,
    comprehension_items,
    is_held_out,
    is_held_out_call,
    javascript_problems,
    python_problems,
    sample_program,
    translation_passage,
)

MAKERS = {"bash": (bash_problems, "bash", "sh"), "javascript": (javascript_problems, "node", "js")}


def check(problem: dict[str, str], completion: str) -> None:
    scope: dict[str, Any] = {}
    exec(problem["prompt"] + completion + "\n" + problem["test"], scope)
    scope["check"](scope[problem["entry_point"]])


def test_python_problems_are_solved_by_their_solutions_only() -> None:
    problems = python_problems(seed=0)
    assert len({problem["key"] for problem in problems}) == len(problems) == 164
    assert all(is_held_out(problem["key"]) for problem in problems)
    for problem in problems:
        assert problem["prompt"].endswith('"""')
        assert problem["canonical_solution"].startswith("\n")
        check(problem, problem["canonical_solution"])
        with pytest.raises(AssertionError):
            check(problem, "\n    return None")


def test_problems_never_occur_in_training() -> None:
    keys = {problem["key"] for problem in python_problems(seed=0)}
    rng = random.Random(1)
    assert keys.isdisjoint(sample_program(rng).key for _ in range(3000))


@pytest.mark.parametrize("language", MAKERS)
def test_other_languages_have_the_same_programs_with_tests_that_tell(language: str, tmp_path: Path) -> None:
    make, tool, suffix = MAKERS[language]
    problems = make(seed=0)
    assert [problem["key"] for problem in problems] == [problem["key"] for problem in python_problems(seed=0)]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")

    def status(code: str) -> int:
        path = tmp_path / f"main.{suffix}"
        path.write_text(code)
        return subprocess.run([tool, str(path)], capture_output=True, check=False).returncode

    for problem in problems[:: 1 if language == "bash" else 8]:
        right = problem["prompt"] + problem["canonical_solution"] + problem["test"]
        assert status(right) == 0, right
    wrong = problems[0]["prompt"] + ("\n  return null\n}\n" if language == "javascript" else "\n  echo no\n}\n")
    assert status(wrong + problems[0]["test"]) == 1


def test_comprehension_items() -> None:
    items = comprehension_items(200, seed=3)
    assert [item["id"] for item in items[:2]] == ["Comprehension/0", "Comprehension/1"]
    assert len({item["prompt"] for item in items}) == 200
    for item in items:
        code, call = item["prompt"].split("\n\n>>> ")
        scope: dict[str, Any] = {}
        exec(code, scope)
        assert repr(eval(call, scope)) == item["choices"][item["label"]]
        assert len(set(item["choices"])) == 4
        assert len({type(ast.literal_eval(choice)) for choice in item["choices"]}) == 1
        assert "|" not in item["key"] or is_held_out(item["key"])
    places = [sum(item["label"] == place for item in items) for place in range(4)]
    assert min(places) > 25


def test_calls_shown_are_right_and_never_held_out() -> None:
    rng = random.Random(0)
    for _ in range(200):
        program = sample_program(rng)
        code, session = call_example(program, rng).split("\n\n>>> ")
        call, printed = session.split("\n")
        scope: dict[str, Any] = {}
        exec(code, scope)
        assert repr(eval(call, scope)) == printed
        value = ast.literal_eval(call[call.index("(") + 1 : -1])
        assert not is_held_out_call(program.key, value)


def test_translation_passage_has_the_same_function_in_two_languages() -> None:
    shots = translation_passage(random.Random(0), ["python", "java"], pairs=5).split("\n\n")
    assert len(shots) == 5
    for shot in shots:
        lines = dict(line.split(": ", 1) for line in shot.split("\n"))
        assert set(lines) == {"Python", "Java"}
        assert lines["Python"].startswith("def ")
        assert lines["Java"].startswith("public static ")


def test_translation_passages_use_every_language() -> None:
    rng = random.Random(0)
    seen = {line.split(": ")[0] for _ in range(80) for line in translation_passage(rng, pairs=1).split("\n")}
    assert seen == {language.title for language in LANGUAGES.values()}
