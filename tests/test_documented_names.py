"""What README and docs tell people to import, write and read is there."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import codingspot
from codingspot.catalogue import registries

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
DOTTED = re.compile(r"\bcodingspot(?:\.\w+)+")
FILES = re.compile(r"`((?:\w+/)+\w+\.py)\b")


def resolve(dotted: str) -> object:
    """The module or attribute of that name."""
    parts = dotted.split(".")
    found, name = import_module(parts[0]), parts[0]
    for part in parts[1:]:
        name = f"{name}.{part}"
        found = getattr(found, part) if hasattr(found, part) else import_module(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_import_what_there_is(page: Path) -> None:
    for snippet in PYTHON.findall(page.read_text(encoding="utf-8")):
        tree = ast.parse(snippet)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), page.name, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_names_are_where_they_are_said_to_be(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for dotted in set(DOTTED.findall(text)) - {registry.group for registry in registries()}:
        assert resolve(dotted) is not None
    for file in FILES.findall(text):
        assert any((folder / file).is_file() for folder in (ROOT, ROOT / "src/codingspot")), file


def test_the_readme_s_example_names_are_public() -> None:
    (snippet,) = PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    (imported,) = (node for node in ast.parse(snippet).body if isinstance(node, ast.ImportFrom))
    assert {name.name for name in imported.names} <= set(codingspot.__all__)
