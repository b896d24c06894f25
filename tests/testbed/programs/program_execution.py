"""Runs programs in their own languages: all of a language's cases in one file, one line of output a case."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codingspot.testbed.programs import LANGUAGES, Program, function_name, render
from codingspot.testbed.programs.problems import bash_argument

Case = tuple[Program, Any]

TOOLS = {
    "bash": "bash",
    "cpp": "g++",
    "go": "go",
    "java": "javac",
    "javascript": "node",
    "julia": "julia",
    "python": "python3",
    "ruby": "ruby",
    "rust": "rustc",
}


def is_installed(language: str) -> bool:
    return shutil.which(TOOLS[language]) is not None


def shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def outputs(language: str, cases: list[Case], folder: Path) -> list[str]:
    """The line each case prints; the cases' programs must have different names."""
    programs = "\n".join({program.name: render(program, language) for program, _ in cases}.values())
    calls = [(function_name(program, language), program, value) for program, value in cases]
    command = _RUNNERS[language](programs, calls, folder)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False)
    assert done.returncode == 0, f"{LANGUAGES[language].title}: {done.stderr[:2000]}"
    return done.stdout.removesuffix("\n").split("\n")


Call = tuple[str, Program, Any]
Runner = Callable[[str, list[Call], Path], list[str]]


def _braced(value: Any, before: str = "{", after: str = "}") -> str:
    return before + ", ".join(json.dumps(element) for element in value) + after


def _compile(*command: str, folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def _python(programs: str, calls: list[Call], folder: Path) -> list[str]:
    lines = [
        "def show(value):",
        '    print(",".join(map(str, value)) if isinstance(value, list) else value)',
        *(f"show({name}({value!r}))" for name, _, value in calls),
    ]
    (folder / "main.py").write_text("\n".join([programs, *lines]))
    return ["python3", "main.py"]


def _javascript(programs: str, calls: list[Call], folder: Path) -> list[str]:
    lines = [f"console.log(String({name}({json.dumps(value)})));" for name, _, value in calls]
    (folder / "main.js").write_text("\n".join(["'use strict';", programs, *lines]))
    return ["node", "main.js"]


def _bash(programs: str, calls: list[Call], folder: Path) -> list[str]:
    lines = []
    for name, program, value in calls:
        call = f"{name} {bash_argument(value)}"
        commas = " | tr ' ' ','" if program.gives in ("ints", "strs") else ""
        lines.append(call + commas)
    (folder / "main.sh").write_text("\n".join([programs, *lines]) + "\n")
    return ["bash", "main.sh"]


def _ruby(programs: str, calls: list[Call], folder: Path) -> list[str]:
    lines = [f'puts Array({name}({json.dumps(value)})).join(",")' for name, _, value in calls]
    (folder / "main.rb").write_text("\n".join([programs, *lines]))
    return ["ruby", "main.rb"]


def _julia(programs: str, calls: list[Call], folder: Path) -> list[str]:
    def literal(program: Program, value: Any) -> str:
        return {"ints": "Int", "strs": "String"}.get(program.takes, "") + json.dumps(value)

    lines = [
        'show_value(value) = println(value isa AbstractVector ? join(value, ",") : value)',
        *(f"show_value({name}({literal(program, value)}))" for name, program, value in calls),
    ]
    (folder / "main.jl").write_text("\n".join([programs, *lines]))
    return ["julia", "--startup-file=no", "--compile=min", "main.jl"]


def _cpp(programs: str, calls: list[Call], folder: Path) -> list[str]:
    def literal(program: Program, value: Any) -> str:
        if isinstance(value, list):
            return LANGUAGES["cpp"].parameter_types[program.takes] + _braced(value)
        return json.dumps(value)

    source = [
        "#include <algorithm>",
        "#include <cstring>",
        "#include <iostream>",
        "#include <sstream>",
        "#include <string>",
        "#include <vector>",
        "using namespace std;",
        programs,
        'template <class T> void show(const T& value) { cout << value << "\\n"; }',
        "template <class T> void show(const vector<T>& values) {",
        "    string comma;",
        '    for (const T& value : values) { cout << comma << value; comma = ","; }',
        '    cout << "\\n";',
        "}",
        "int main() {",
        *(f"show({name}({literal(program, value)}));" for name, program, value in calls),
        "}",
    ]
    (folder / "main.cpp").write_text("\n".join(source))
    _compile("g++", "-std=c++17", "-O0", "-w", "main.cpp", "-o", "main", folder=folder)
    return [str(folder / "main")]


def _rust(programs: str, calls: list[Call], folder: Path) -> list[str]:
    def literal(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        suffix = ".to_string()" if value and isinstance(value[0], str) else ""
        return "&[" + ", ".join(json.dumps(element) + suffix for element in value) + "]"

    source = [
        "#![allow(warnings)]",
        "trait Show { fn show(&self) -> String; }",
        "impl Show for i32 { fn show(&self) -> String { self.to_string() } }",
        "impl Show for String { fn show(&self) -> String { self.clone() } }",
        "impl<T: ToString> Show for Vec<T> { fn show(&self) -> String {",
        '    self.iter().map(|x| x.to_string()).collect::<Vec<_>>().join(",") } }',
        programs,
        "fn main() {",
        *(f'println!("{{}}", {name}({literal(value)}).show());' for name, _, value in calls),
        "}",
    ]
    (folder / "main.rs").write_text("\n".join(source))
    _compile("rustc", "--edition", "2021", "main.rs", "-o", "main", folder=folder)
    return [str(folder / "main")]


def _java(programs: str, calls: list[Call], folder: Path) -> list[str]:
    def literal(value: Any) -> str:
        return _braced(value, "List.of(", ")") if isinstance(value, list) else json.dumps(value)

    source = [
        "import java.util.*;",
        "class Main {",
        programs,
        "static void show(Object value) {",
        "    if (!(value instanceof List<?> list)) { System.out.println(value); return; }",
        '    System.out.println(String.join(",", list.stream().map(String::valueOf).toList()));',
        "}",
        "public static void main(String[] arguments) {",
        *(f"show({name}({literal(value)}));" for name, _, value in calls),
        "}",
        "}",
    ]
    (folder / "Main.java").write_text("\n".join(source))
    _compile("javac", "Main.java", folder=folder)
    return ["java", "-cp", str(folder), "Main"]


def _go(programs: str, calls: list[Call], folder: Path) -> list[str]:
    def literal(program: Program, value: Any) -> str:
        if isinstance(value, list):
            return LANGUAGES["go"].parameter_types[program.takes] + _braced(value)
        return json.dumps(value)

    source = [
        "package main",
        'import ("fmt"; "slices"; "strings")',
        "var _ = slices.Contains[[]int]",
        "var _ = strings.Fields",
        programs,
        "func show(value any) {",
        "\ttext := fmt.Sprint(value)",
        "\tswitch value.(type) {",
        "\tcase []int, []string:",
        '\t\ttext = strings.ReplaceAll(strings.Trim(text, "[]"), " ", ",")',
        "\t}",
        "\tfmt.Println(text)",
        "}",
        "func main() {",
        *(f"\tshow({name}({literal(program, value)}))" for name, program, value in calls),
        "}",
    ]
    (folder / "main.go").write_text("\n".join(source))
    return ["go", "run", "main.go"]


_RUNNERS: dict[str, Runner] = {
    "bash": _bash,
    "cpp": _cpp,
    "go": _go,
    "java": _java,
    "javascript": _javascript,
    "julia": _julia,
    "python": _python,
    "ruby": _ruby,
    "rust": _rust,
}
