"""Writing a program in a language: one engine, driven by the language's table.

Every step but the last is bound to a local variable; the last one is returned. So a fragment always reads its
input from a plain variable and may use it as often as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from codingspot.testbed.programs.language import Language
from codingspot.testbed.programs.languages import LANGUAGES
from codingspot.testbed.programs.operations import Program, Step

LOCALS = {
    "ints": ("numbers", "values", "items"),
    "int": ("number", "value", "count"),
    "str": ("text", "line", "phrase"),
    "strs": ("words", "names", "parts"),
    "REST": ("rest", "left", "other"),
    "LAST": ("last", "more", "now"),
}
"""Names of local variables, by kind of value (also the names of parameters) or by slot."""

RESULTS = {"ints": "result", "int": "total", "str": "result", "strs": "result"}
"""The variable in which statements leave the function's result, by kind."""

_EACH = {"ints": "item", "int": "step", "str": "letter", "strs": "word"}
_SLOT = re.compile(r"\b(?:IN|OUT|EACH|REST|LAST|NEXT|C|TYPE|NAME|PARAMETER|RESULT)\b")


@dataclass(frozen=True)
class _Function:
    header: str
    body: tuple[str, ...]
    footer: str


def render(program: Program, language: str) -> str:
    """The program as code of ``language`` (a key of ``LANGUAGES``), without any comment."""
    function = _function(program, LANGUAGES[language])
    return function.header + _after_header(function)


def render_documented(program: Program, language: str) -> str:
    """The program with its description: a docstring in Python, a comment line above it elsewhere."""
    return prompt(program, language) + body(program, language)


def prompt(program: Program, language: str) -> str:
    """The documented program up to, but without, the newline that begins its body."""
    table = LANGUAGES[language]
    header = _function(program, table).header
    if table.name == "python":
        return f'{header}\n{table.indent}"""{program.description}"""'
    return f"{table.comment} {program.description}\n{header}"


def body(program: Program, language: str) -> str:
    """What follows ``prompt``: a newline, the body and, where the language has one, the closing line."""
    return _after_header(_function(program, LANGUAGES[language]))


def render_one_line(program: Program, language: str) -> str | None:
    """The program on a single line, or None where that is not how anyone would write it."""
    table = LANGUAGES[language]
    function = _function(program, table)
    lines = [line.strip() for line in function.body]
    if table.one_line == "expression":
        if len(lines) > 1:
            return None
        return _fill(table.short_header, _signature(program, table)) + " " + lines[0]
    line = function.header
    for following in (*lines, function.footer):
        joined = table.one_line == "spaces" or line.endswith("{")
        line += " " + following if joined or _closes_block(following, table) else "; " + following
    return line


def function_name(program: Program, language: str) -> str:
    """The program's name by the convention of ``language``."""
    return _named(program.name, LANGUAGES[language].naming)


def _closes_block(line: str, language: Language) -> bool:
    return line == "}" and language.name != "bash"


def _after_header(function: _Function) -> str:
    lines = [*function.body, function.footer] if function.footer else list(function.body)
    return "\n" + "\n".join(lines)


def _named(name: str, naming: str) -> str:
    if naming == "snake":
        return name
    first, *rest = name.split("_")
    return "".join([first if naming == "camel" else first.capitalize(), *(word.capitalize() for word in rest)])


def _fill(template: str, slots: dict[str, str]) -> str:
    return _SLOT.sub(lambda match: slots[match.group()], template)


def _signature(program: Program, language: Language) -> dict[str, str]:
    return {
        "NAME": _named(program.name, language.naming),
        "PARAMETER": program.parameter,
        "TYPE": language.parameter_types.get(program.takes, ""),
        "RESULT": language.types.get(program.gives, ""),
    }


def _function(program: Program, language: Language) -> _Function:
    signature = _signature(program, language)
    lines = []
    if language.opening:
        lines.append(_fill(language.opening[program.takes], signature))
    lines.extend(_steps(program, language))
    header = _fill(language.header, signature)
    return _Function(header, tuple(_indented(line, language.indent) for line in lines), language.footer)


def _indented(line: str, indent: str) -> str:
    code = line.lstrip(" ")
    return indent * (1 + (len(line) - len(code)) // 4) + code


def _steps(program: Program, language: Language) -> Iterator[str]:
    used = {program.parameter}

    def fresh(pool: str) -> str:
        name = next(name for name in LOCALS[pool] if name not in used)
        used.add(name)
        return name

    value = program.parameter
    for index, step in enumerate(program.steps):
        last = index == len(program.steps) - 1
        kind = step.operation.gives
        fragment = language.fragments[step.operation.name]
        lines = list(_lines(fragment, kind, last, language))
        text = "\n".join(lines)
        slots = _constants(step) | {"IN": value, "TYPE": language.types.get(kind, ""), "EACH": _each(step)}
        slots |= {slot: fresh(slot) for slot in ("REST", "LAST") if re.search(rf"\b{slot}\b", text)}
        slots["OUT"] = RESULTS[kind] if last else fresh(kind)
        yield from (_fill(line, slots) for line in lines)
        value = slots["OUT"]


def _each(step: Step) -> str:
    return "word" if step.operation.gives == "strs" else _EACH[step.operation.takes]


def _constants(step: Step) -> dict[str, str]:
    slots = {"C": str(step.constant)}
    if isinstance(step.constant, int):
        slots["NEXT"] = str(step.constant + 1)
    return slots


def _lines(fragment: str | tuple[str, ...], kind: str, last: bool, language: Language) -> Iterator[str]:
    if isinstance(fragment, str):
        template = language.give[kind] if last else language.declare[kind]
        yield template.replace("VALUE", fragment)
        return
    yield from fragment
    if last:
        yield language.give[kind].replace("VALUE", language.refer[kind])
