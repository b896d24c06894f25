"""What is installed: the wheel holds all that the program reads, and the commands run from it."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import codingspot

ROOT = Path(__file__).parents[1]


def run(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, which must succeed."""
    ran = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the build backend that is installed."""
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", out, ROOT, cwd=out)
    (built,) = out.iterdir()
    return built


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src/codingspot"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("codingspot/")}
    assert packed == files
    named = ("py.typed", "report/templates/page.html.j2", "studies/demo.yaml", "testbed/models/plain/model.safetensors")
    assert {f"codingspot/{name}" for name in named} <= packed


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {codingspot.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())


def test_commands_run_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", "--target", site, wheel, cwd=ROOT)
    command = (sys.executable, site / "bin/codingspot")
    where = "import codingspot; print(codingspot.__file__)"
    assert str(site) in run(sys.executable, "-c", where, cwd=tmp_path, PYTHONPATH=str(site))
    listed = json.loads(run(*command, "methods", "--json", cwd=tmp_path, PYTHONPATH=str(site)))
    assert {"taylor", "set_difference", "zero", "matched"} <= {method["name"] for method in listed}


def test_what_cites_the_project_names_its_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == codingspot.__version__
    assert citation["license"] == project["license"]
    assert codingspot.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_pages_at_the_root_link_to_what_there_is(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_linters_of_a_commit_are_those_of_make_lint() -> None:
    tool = re.compile(r"(?:\$\(BIN\)|\.venv/bin)/(ruff \w+|[\w-]+)")
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(tool.findall(hooks.partition("hooks:")[2])) == set(tool.findall(recipe))
