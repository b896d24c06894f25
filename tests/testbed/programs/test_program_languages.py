"""Every operation in every language: it parses, and where the language is installed it computes the same."""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path

import pytest
from program_execution import TOOLS, Case, is_installed, outputs, shown
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from codingspot.testbed.programs import (
    LANGUAGES,
    OPERATIONS,
    Program,
    Step,
    body,
    prompt,
    render,
    render_documented,
    render_one_line,
    sample_input,
    sample_program,
)
from codingspot.testbed.programs.sampling import PARAMETERS, edge_input

GRAMMARS = {"csharp": "c_sharp"}
METHODS = {"java", "csharp"}


def single_operations() -> list[Program]:
    """Every operation with every constant."""
    return [
        Program(
            f"single_{name.replace('_', '')}{index}",
            PARAMETERS[operation.takes][0],
            (Step(operation, constant),),
        )
        for name, operation in OPERATIONS.items()
        for index, constant in enumerate(operation.constants or (None,))
    ]


def compositions(count: int, seed: int) -> list[Program]:
    rng = random.Random(seed)
    drawn = [sample_program(rng, steps=rng.choice((2, 3))) for _ in range(count)]
    return [Program(f"chain_{index}", program.parameter, program.steps) for index, program in enumerate(drawn)]


PROGRAMS = single_operations() + compositions(120, seed=5)


def parser(language: str) -> Parser:
    module = import_module(f"tree_sitter_{GRAMMARS.get(language, language)}")
    grammar = module.language_typescript() if language == "typescript" else module.language()
    return Parser(Grammar(grammar))


def broken_nodes(node: Node) -> list[str]:
    found = [f"{node.type} at {node.start_point}"] if node.is_error or node.is_missing else []
    return found + [broken for child in node.children for broken in broken_nodes(child)]


def in_context(code: str, language: str) -> str:
    return f"class Main {{\n{code}\n}}\n" if language in METHODS else code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rendering_parses(language: str) -> None:
    parse = parser(language).parse
    for program in PROGRAMS:
        renderings = [
            render(program, language),
            render_documented(program, language),
            render_one_line(program, language) or "",
        ]
        for code in renderings:
            tree = parse(in_context(code, language).encode())
            assert not broken_nodes(tree.root_node), code


def test_the_parse_check_sees_an_error() -> None:
    tree = parser("python").parse(b"def total(values:\n    return")
    assert broken_nodes(tree.root_node)


@pytest.mark.parametrize("language", TOOLS)
def test_results_agree_with_the_abstract_form(language: str, tmp_path: Path) -> None:
    if not is_installed(language):
        pytest.skip(f"{TOOLS[language]} is not installed")
    rng = random.Random(9)
    cases: list[Case] = [
        (program, value)
        for program in PROGRAMS
        for value in (sample_input(program, rng), sample_input(program, rng), edge_input(program))
    ]
    printed = outputs(language, cases, tmp_path)
    assert len(printed) == len(cases)
    for (program, value), line in zip(cases, printed, strict=True):
        assert line == shown(program.run(value)), (program.key, value)


@pytest.mark.parametrize("language", ["bash", "javascript", "python", "cpp"])
def test_one_line_programs_compute_the_same(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_installed(language):
        pytest.skip(f"{TOOLS[language]} is not installed")
    rng = random.Random(2)
    programs = [program for program in single_operations() if render_one_line(program, language)]
    monkeypatch.setattr("program_execution.render", render_one_line)
    cases: list[Case] = [(program, sample_input(program, rng)) for program in programs]
    assert outputs(language, cases, tmp_path) == [shown(program.run(value)) for program, value in cases]


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompt_ends_before_the_newline_of_the_body(language: str) -> None:
    for program in PROGRAMS:
        assert render_documented(program, language) == prompt(program, language) + body(program, language)
        assert body(program, language).startswith("\n")
        assert not prompt(program, language).endswith("\n")
        assert program.description in prompt(program, language)
        assert program.description not in render(program, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_tables_cover_the_operations_and_one_line_forms_are_single_lines(language: str) -> None:
    assert set(LANGUAGES[language].fragments) == set(OPERATIONS)
    lines = [render_one_line(program, language) for program in single_operations()]
    written = [line for line in lines if line is not None]
    assert not any("\n" in line for line in written)
    assert len(written) >= 0.85 * len(lines)


def test_python_example_by_hand() -> None:
    steps = (Step(OPERATIONS["keep_even"]), Step(OPERATIONS["add_each"], 3), Step(OPERATIONS["sum"]))
    program = Program("find_answer", "values", steps)
    assert render_documented(program, "python") == (
        "def find_answer(values):\n"
        '    """Keep the even numbers, then add 3 to each number, then return the sum."""\n'
        "    numbers = [item for item in values if item % 2 == 0]\n"
        "    items = [item + 3 for item in numbers]\n"
        "    return sum(items)"
    )
    assert render(program, "csharp").startswith("public static int FindAnswer(List<int> values) {")
    assert render(program, "javascript").startswith("function findAnswer(values) {")
