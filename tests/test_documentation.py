"""What README and docs tell people to type is accepted, what they quote is said, and the reference is whole."""

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from pydantic import BaseModel

from codingspot.catalogue import registries
from codingspot.cli.app import app
from codingspot.corpus import Source
from codingspot.importance import FineTune
from codingspot.report.specificity import Verdict
from codingspot.study import Study, parse_study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```bash\n(.*?)```|^    (codingspot [^\n]*)$", re.DOTALL | re.MULTILINE)
STUDY = re.compile(r"```yaml\n((?:# .*\n)?name: .*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The hook that makes the reference pages."""
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools/reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(text: str) -> Iterator[list[str]]:
    """The words of every codingspot command in the code blocks of a page."""
    for fenced, indented in BLOCK.findall(text):
        for line in (fenced or indented).replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["codingspot"]:
                yield words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        command, rest = typer.main.get_command(app), words[1:]
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if re.match("--?[a-z]", word)} <= known | {"--help"}, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whole_study_files_are_valid(page: Path) -> None:
    for text in STUDY.findall(page.read_text(encoding="utf-8")):
        assert isinstance(parse_study(text, page.name), Study)


def test_the_readme_s_example_prints_what_it_says(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet, said = (re.findall(rf"```{kind}\n(.*?)```", readme, re.DOTALL)[0] for kind in ("python", "text"))
    ran = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    number = re.compile(r"\d+\.\d+")
    assert number.sub("", ran.stdout) == number.sub("", said)
    found = [[float(each) for each in number.findall(text)] for text in (ran.stdout, said)]
    assert found[0] == pytest.approx(found[1], abs=0.03)


def test_errors_that_are_answered_are_those_that_are_raised() -> None:
    joined = re.compile(r'"\s*\n\s*f?"')
    source = "\n".join(joined.sub("", path.read_text(encoding="utf-8")) for path in (ROOT / "src").rglob("*.py"))
    quoted = re.findall(r"^## `(.*)`$", (ROOT / "docs/errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(quoted) > 5
    assert [error for error in quoted if error not in source] == []


def test_every_verdict_is_explained() -> None:
    text = (ROOT / "docs/reading.md").read_text(encoding="utf-8")
    assert [verdict for verdict in Verdict if f"| {verdict} |" not in text] == []


def test_every_method_and_its_options_are_in_the_reference(reference: ModuleType) -> None:
    page = reference.methods_page()
    for registry in registries():
        for name in registry:
            _, found, section = page.partition(f"### `{name}` {{ #{registry.sort}-{name} }}")
            assert found, name
            section = section.partition("\n### ")[0]
            method = registry[name]
            settings = isinstance(method, type) and issubclass(method, BaseModel)
            for option in method.model_fields if settings else registry.parameters(name):
                assert f"| `{option}` |" in section, (name, option)
            assert registry.reference(name) in section


def test_every_study_key_is_in_the_reference(reference: ModuleType) -> None:
    page = reference.study_page()
    row = "| `k_percent` | list of number | required |"
    assert row in page.partition("## `spots[]` ")[2].partition("\n## ")[0]
    assert "| `trust_remote_code` | true or false | `false` | run code that comes with the model |" in page
    undescribed = re.findall(r"^\| `(\w+)` \|.*\|  \|$", page.partition("## `views`")[0], re.MULTILINE)
    assert set(undescribed) <= {"description", *FineTune.__dataclass_fields__, *Source.__dataclass_fields__}
    for name, field in Study.model_fields.items():
        section = page.partition(f"## `{name}{'[]' if name == 'spots' else ''}` ")[2].partition("\n## ")[0]
        for key in getattr(field.annotation, "model_fields", ()):
            assert f"| `{key}` |" in section, (name, key)
    assert "## `evaluation.code[]`" in page
    assert "a local folder of files named after the splits" in page


def test_every_command_is_in_the_reference(reference: ModuleType) -> None:
    page = reference.commands_page()
    assert "## `codingspot score`" in page
    assert "### `codingspot export lora`" in page
    assert "* `--measure / --no-measure`" in page or "* `--measure`" in page


def test_every_public_name_is_in_the_reference(reference: ModuleType) -> None:
    pages = reference.python_pages()
    listed = re.findall(r"\]\[(.*)\]$", pages["python"], re.MULTILINE)
    shown = re.findall(r"^::: (.*)$", "\n".join(pages.values()), re.MULTILINE)
    assert {"codingspot.spot.spot.Spot", "codingspot.spot.density.density"} <= set(listed)
    assert set(listed) <= set(shown)
    assert len(shown) == len(set(shown))
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in pages if f"reference/{name}.md" not in nav] == []
