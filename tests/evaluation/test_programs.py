"""pass@k, and verdicts that are remembered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codingspot.errors import SandboxError
from codingspot.evaluation.programs import Judge, make_program, mean_pass_at_k, pass_at_k
from codingspot.sandbox import Outcome, Program, Sandbox, Verdict


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


def test_the_sandbox_tells_right_from_wrong() -> None:
    try:
        sandbox = Sandbox(workers=1)
    except SandboxError as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    with sandbox:
        programs = [
            make_program(_ITEM, text, "python") for text in ("\n    return x + 1", "\n    return x", "\n    retur")
        ]
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
