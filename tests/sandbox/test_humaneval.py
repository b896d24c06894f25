"""Real programs: HumanEval's own solutions pass, and nothing else does."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from codingspot.sandbox import Program, Sandbox, Verdict

DATA = Path(__file__).resolve().parents[2] / "../shared/data/humaneval/test.jsonl.gz"


@pytest.fixture(scope="module")
def problems() -> list[dict[str, str]]:
    if not DATA.exists():
        pytest.skip("HumanEval's problems are not in ../shared/data")
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def programs(problems: list[dict[str, str]], body: str | None = None) -> list[Program]:
    """Each problem with its canonical solution, or with ``body`` instead."""
    made = []
    for problem in problems:
        completion = problem["canonical_solution"] if body is None else body
        made.append(
            Program("python", problem["prompt"] + completion, problem["test"], problem["entry_point"], completion)
        )
    return made


def test_all_canonical_solutions_pass(sandbox: Sandbox, problems: list[dict[str, str]]) -> None:
    outcomes = sandbox.run(programs(problems))
    assert len(outcomes) == 164
    assert {outcome.verdict for outcome in outcomes} == {Verdict.PASSED}


@pytest.mark.parametrize("body", ["    return None\n", "    raise ValueError\n", "    import os; os._exit(0)\n"])
def test_no_wrong_body_passes(sandbox: Sandbox, problems: list[dict[str, str]], body: str) -> None:
    outcomes = sandbox.run(programs(problems, body))
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.WRONG_ANSWER, Verdict.EXCEPTION}
