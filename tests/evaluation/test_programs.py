"""pass@k, and verdicts that are remembered."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.errors import SandboxError
from codingspot.evaluation.programs import Judge, make_program, mean_pass_at_k, packages_of, pass_at_k
from codingspot.sandbox import Limits, Outcome, Program, Sandbox, Verdict

MBPP = Path(__file__).resolve().parents[2] / "../shared/data/mbpp/all.jsonl.gz"
EVERY = 20
SPECIAL = (126, 367, 927)  # one hides a builtin, two have code that sets up their test


@pytest.mark.parametrize(
    ("samples", "passed", "k", "expected"),
    [(1, 1, 1, 1.0), (1, 0, 1, 0.0), (10, 3, 1, 0.3), (5, 2, 2, 1 - 3 / 10), (5, 4, 2, 1.0), (200, 0, 100, 0.0)],
)
def test_pass_at_k_of_small_cases(samples: int, passed: int, k: int, expected: float) -> None:
    assert pass_at_k(samples, passed, k) == pytest.approx(expected)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_passing_program(case: tuple[int, int, int]) -> None:
    samples, passed, k = case
    draws = list(itertools.combinations([True] * passed + [False] * (samples - passed), k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 2, 6), (5, 6, 1), (5, 2, 0)])
def test_pass_at_k_refuses_what_cannot_be(samples: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(samples, passed, k)


def test_mean_pass_at_k_is_over_problems() -> None:
    assert mean_pass_at_k([0.4, 1.0, 0.0], samples=5, k=2) == pytest.approx((0.7 + 1 + 0) / 3)


class _CountingSandbox:
    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.ran = 0

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        self.ran += len(programs)
        return [Outcome(self.verdict)] * len(programs)


_ITEM = {"prompt": "def f(x):", "entry_point": "f", "test": "def check(candidate):\n    assert candidate(1) == 2\n"}


def test_equal_programs_run_once() -> None:
    sandbox = _CountingSandbox(Verdict.WRONG_ANSWER)
    judge = Judge(sandbox)  # type: ignore[arg-type]
    programs = [make_program(_ITEM, text, "python") for text in ("\n    return x", "\n    return 1", "\n    return x")]
    assert judge.verdicts(programs) == [Verdict.WRONG_ANSWER] * 3
    judge.verdicts(programs)
    assert sandbox.ran == 2


def test_programs_that_ran_out_of_time_run_again() -> None:
    sandbox = _CountingSandbox(Verdict.TIMED_OUT)
    judge = Judge(sandbox)  # type: ignore[arg-type]
    program = make_program(_ITEM, "\n    while True: pass", "python")
    judge.verdicts([program])
    assert judge.verdicts([program]) == [Verdict.TIMED_OUT]
    assert sandbox.ran == 2


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        made = Sandbox(Limits(seconds=20.0), workers=2)
    except SandboxError as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    with made:
        yield made


def test_the_sandbox_tells_right_from_wrong(sandbox: Sandbox) -> None:
    programs = [make_program(_ITEM, text, "python") for text in ("\n    return x + 1", "\n    return x", "\n    retur")]
    found = Judge(sandbox).verdicts(programs)
    assert found[:2] == [Verdict.PASSED, Verdict.WRONG_ANSWER]
    assert found[2] is not Verdict.PASSED


def test_a_program_in_a_block_ends_with_it() -> None:
    answer = "\n    return x\n```\nIt returns x.\n```python\nf(1)\n```"
    assert make_program(_ITEM, answer, "python", in_block=True).source == "def f(x):\n    return x\n"
    assert make_program(_ITEM, answer, "python").source == "def f(x):" + answer


def test_mbpps_programs_stand_alone_and_pass_the_assertions_shown() -> None:
    item = {"text": "Return x.", "test_list": ["assert f(1) == 1", "assert f(2) == 2", "assert f(3) == 3", "assert 0"]}
    program = make_program(item, "def f(x):\n    return x\n", "python")
    assert program.source == "def f(x):\n    return x\n"
    assert program.test == "assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3"
    assert program.entry_point is None


_PAIRS = {
    "code": "def sum(a, b):\n    return a + b\nclass Pair: ...",
    "test_imports": ["import math"],
    "test_setup_code": "pair = Pair()",
    "test_list": ["assert sum(1, 2) == 3", "assert pair is not None", "assert math.pi > 3"],
}


def test_mbpps_tests_are_set_up_and_use_the_function_tested_whatever_it_is_called(sandbox: Sandbox) -> None:
    program = make_program(_PAIRS, _PAIRS["code"], "python")
    assert program.test.splitlines()[:2] == ["import math", "pair = Pair()"]
    wrong = make_program(_PAIRS, "def sum(a, b):\n    return a\nclass Pair: ...", "python")
    hiding = make_program(_ITEM, "\n    return 2\nabs = all = lambda *given: True", "python")
    assert Judge(sandbox).verdicts([program, wrong, hiding]) == [
        Verdict.PASSED,
        Verdict.WRONG_ANSWER,
        Verdict.PASSED,
    ]


def test_programs_may_import_what_their_test_or_prompt_imports(sandbox: Sandbox) -> None:
    test = "import numpy as np\n\ndef check(candidate):\n    assert np.allclose(candidate(np.ones(2)), 2)\n"
    plus = {**_ITEM, "test": test}
    prompted = {**_ITEM, "prompt": "import numpy as np\ndef f(x):\n"}
    assert packages_of(plus, "python") == packages_of(prompted, "python") == ("numpy",)
    assert packages_of(_ITEM, "python") == packages_of(plus, "bash") == ()
    programs = [
        make_program(plus, "\n    return x + 1", "python"),
        make_program(prompted, "    return int(np.add(x, 1))", "python"),
    ]
    assert Judge(sandbox).verdicts(programs) == [Verdict.PASSED] * 2


@pytest.fixture(scope="module")
def mbpp() -> list[dict[str, Any]]:
    if not MBPP.exists():
        pytest.skip("MBPP's problems are not in ../shared/data")
    with gzip.open(MBPP, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_mbpps_own_solutions_pass_and_their_neighbours_do_not(sandbox: Sandbox, mbpp: list[dict[str, Any]]) -> None:
    chosen = [item for item in mbpp if item["task_id"] % EVERY == 0 or item["task_id"] in SPECIAL]
    assert len(chosen) == len(mbpp) // EVERY + len(SPECIAL)
    right = [make_program(item, item["code"], "python") for item in chosen]
    wrong = [make_program(item, other["code"], "python") for item, other in itertools.pairwise(chosen)]
    assert set(Judge(sandbox).verdicts(right)) == {Verdict.PASSED}
    assert Verdict.PASSED not in Judge(sandbox).verdicts(wrong)
