"""Code tasks: programs made of a prompt and its completion, run in the sandbox, and pass@k."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codingspot.evaluation.code_tasks import FENCE
from codingspot.evaluation.instructions import code_of, completed
from codingspot.evaluation.python_names import defined, third_party, used
from codingspot.sandbox import Program, Sandbox, Verdict

_DEPEND_ON_THE_MACHINE = (Verdict.TIMED_OUT, Verdict.KILLED)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Unbiased estimate of the probability that at least one of k samples passes, 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021, 'Evaluating Large Language Models Trained on Code', equation 1.

    Args:
        samples: n, programs drawn for a problem.
        passed: c, how many of them passed.
        k: at most n.

    Raises:
        ValueError: k is not in 1 to n, or c not in 0 to n.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} needs 1 <= k <= n and 0 <= c <= n, with n = {samples} and c = {passed}")
    return 1 - math.comb(samples - passed, k) / math.comb(samples, k)


def mean_pass_at_k(outcomes: Sequence[float], samples: int, k: int) -> float:
    """Mean pass@k over problems whose outcome is the share of their ``samples`` programs that passed."""
    return math.fsum(pass_at_k(samples, round(share * samples), k) for share in outcomes) / len(outcomes)


def make_program(
    item: Mapping[str, Any], completion: str, language: str, *, in_block: bool = False, in_reply: bool = False
) -> Program:
    """The program of a completion.

    Items with the fields prompt, test and (for Python) entry_point are HumanEval's (Chen et al. 2021): the program is
    the prompt and what follows it. Items with a test_list are MBPP's (Austin et al. 2021): the program is the
    completion, its test the three assertions that the prompt shows, after the test_setup_code and test_imports that
    there may be. A function that the reference solution (code) defines and the test uses is taken from the program
    even where it hides a builtin.

    Args:
        item: the problem.
        completion: what the model wrote.
        language: of the program.
        in_block: whether the completion stands in a Markdown block that the prompt opened, and ends with it.
        in_reply: whether it is a reply to :func:`~codingspot.evaluation.instructions.instruction`, whose first block
            is the completion.
    """
    if in_block:
        completion = completion.split(FENCE, 1)[0]
    if in_reply:
        completion = code_of(completion)
    test, packages = _test(item), packages_of(item, language)
    if "test_list" in item:
        tested = tuple(sorted(defined(item.get("code") or "") & used(test)))
        return Program(language, completion, test, completion=completion, tested=tested, packages=packages)
    return Program(
        language=language,
        source=completed(item, completion, language) if in_reply else item["prompt"] + completion,
        test=test,
        entry_point=item["entry_point"] if language == "python" else None,
        completion=completion,
        packages=packages,
    )


def packages_of(item: Mapping[str, Any], language: str) -> tuple[str, ...]:
    """Packages outside the standard library that an item's test or prompt imports, which its programs need."""
    if language != "python":
        return ()
    texts = [_test(item)]
    if "test_list" not in item:
        texts += [item["prompt"], f"{item['prompt']}\n    pass"]  # one of the two is whole
    return tuple(sorted(frozenset().union(*map(third_party, texts))))


def _test(item: Mapping[str, Any]) -> str:
    if "test_list" not in item:
        return str(item["test"])
    setup = [*(item.get("test_imports") or []), item.get("test_setup_code") or ""]
    return "\n".join([*filter(None, setup), *item["test_list"][:3]])


class Judge:
    """Verdicts on programs, remembered: an edit that changes little makes the same programs again.

    Programs that ran out of time or memory are run again, for that depends on what else the machine does.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._known: dict[Program, Verdict] = {}

    def prepare(self, packages: Iterable[str]) -> None:
        """Have the packages at hand that programs will ask for.

        Raises:
            SandboxError: one isn't installed.
        """
        self._sandbox.provide(packages)

    def verdicts(self, programs: Sequence[Program]) -> list[Verdict]:
        """One verdict for each program.

        Raises:
            SandboxError: a program can't be run on this machine.
        """
        new = [program for program in dict.fromkeys(programs) if program not in self._known]
        found = {program: outcome.verdict for program, outcome in zip(new, self._sandbox.run(new), strict=True)}
        self._known.update({p: v for p, v in found.items() if v not in _DEPEND_ON_THE_MACHINE})
        return [found[program] if program in found else self._known[program] for program in programs]
