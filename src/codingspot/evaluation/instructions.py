"""Programming problems put to a chat model as instructions, and the programs its replies make.

The question asks for the function in a fenced block; the answer is the first such block of the reply, up to its end
where it is left open. A reply without one is taken whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codingspot.corpus.fences import fenced_blocks
from codingspot.corpus.languages import LANGUAGES
from codingspot.evaluation.python_names import defined


def instruction(item: Mapping[str, Any], language: str) -> str:
    """What the user asks: of HumanEval's items (with a prompt) its completion, of MBPP's (a test_list) a program.

    Args:
        item: the problem.
        language: of the program.
    """
    title = LANGUAGES[language].title if language in LANGUAGES else language
    if "test_list" not in item:
        prompt = _block(item["prompt"], language)
        return f"Complete the following {title} function. Give all of it in one fenced code block.\n\n{prompt}"
    text, tests = item.get("text") or item.get("prompt"), _block("\n".join(item["test_list"][:3]), language)
    return f"{text} Give the {title} program in one fenced code block. It should pass these tests:\n\n{tests}"


def demonstration(item: Mapping[str, Any], language: str) -> str:
    """What the assistant replies to a solved example: its reference solution, in a block."""
    if "test_list" in item:
        return _block(item.get("code") or "", language)
    return _block(item["prompt"] + (item.get("canonical_solution") or ""), language)


def code_of(reply: str) -> str:
    """The first fenced block of ``reply``, or all of it where there is none."""
    block = next(fenced_blocks(reply), None)
    return reply if block is None else block.code


def completed(item: Mapping[str, Any], code: str, language: str) -> str:
    """The program that ``code`` makes of an item's prompt.

    Code that defines the prompt's function itself follows what stands before it there (imports, helpers); other code,
    such as the function's body alone, follows the prompt. In Python the syntax tree says which; elsewhere whether a
    line that isn't indented names the function of the prompt's last such line.
    """
    prompt = str(item["prompt"])
    if language == "python":
        name = str(item["entry_point"])
        opening = re.search(rf"^(?:async )?def {re.escape(name)}\b", prompt, re.MULTILINE)
        again = name in defined(code)
    else:
        *_, opening = [None, *re.finditer(r"^(?=\w)[^\n(]*?\b(\w+)\s*\(", prompt, re.MULTILINE)]
        again = opening is not None and bool(re.search(rf"^(?=\w).*?\b{opening[1]}\b", code, re.MULTILINE))
    if again and opening is not None:
        return prompt[: opening.start()] + code
    return prompt.removesuffix("\n") + "\n" + code.removeprefix("\n")


def _block(code: str, language: str) -> str:
    return "\n".join((f"```{language}", code.strip("\n"), "```"))
