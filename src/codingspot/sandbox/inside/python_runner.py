"""Runs a Python candidate and its test, in the process that was forked for it.

The candidate runs as a module named ``solution``; then everything it did to ``builtins`` is undone, and the test
runs in a copy of the candidate's namespace without the names that hide a builtin (unless they are what is tested),
so that redefining ``abs`` or ``all`` doesn't soften the test.
"""

from __future__ import annotations

import builtins
import gc
import os
import random
import sys
import types
from typing import Any

from .model import Program, Verdict
from .supervisor import report

_CANDIDATE, _TEST = "<solution>", "<test>"
_SEED = 0


def run(program: Program, sites: dict[str, str]) -> None:
    """Run ``program`` and report its verdict; reports nothing if the candidate ends the process.

    ``sites`` holds the folder of each package that a program may ask for.
    """
    gc.enable()
    random.seed(_SEED)
    sys.argv = ["solution.py"]
    sys.path += [sites[name] for name in program.packages]
    process, say = os.getpid(), report
    try:
        candidate = compile(program.source, _CANDIDATE, "exec", dont_inherit=True)
    except Exception as error:
        verdict, detail = Verdict.SYNTAX_ERROR, _describe(error)
    else:
        verdict, detail = _verdict(program, candidate)
    # A candidate that forks lives on in two processes, of which only the first may speak.
    if os.getpid() == process:
        say(verdict, detail)


def _verdict(program: Program, candidate: types.CodeType) -> tuple[Verdict, str]:
    current = vars(builtins)
    pristine = dict(current)
    try:
        try:
            namespace = _new_module()
            exec(candidate, namespace)
        finally:
            current.clear()
            current.update(pristine)
        hiding = pristine.keys() - set(program.tested)
        test = {name: value for name, value in namespace.items() if name not in hiding}
        test |= {"__name__": namespace["__name__"], "__builtins__": builtins}
        exec(compile(program.test, _TEST, "exec", dont_inherit=True), test)
        if program.entry_point is not None:
            test["check"](namespace[program.entry_point])
    except AssertionError as error:
        return (Verdict.WRONG_ANSWER if _raised_by_test(error) else Verdict.EXCEPTION), _describe(error)
    except MemoryError as error:
        return Verdict.KILLED, _describe(error)
    except BaseException as error:
        return Verdict.EXCEPTION, _describe(error)
    return Verdict.PASSED, ""


def _new_module() -> dict[str, Any]:
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    return vars(module)


def _raised_by_test(error: BaseException) -> bool:
    """Whether the innermost frame, of those that are the candidate's or the test's, is the test's."""
    innermost = None
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename in (_CANDIDATE, _TEST):
            innermost = frame.tb_frame.f_code.co_filename
        frame = frame.tb_next
    return innermost == _TEST


def _describe(error: BaseException) -> str:
    try:
        text = f"{error.msg} (line {error.lineno})" if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        text = "(its message can't be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
