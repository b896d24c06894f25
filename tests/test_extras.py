"""What a bare installation does without the packages of its extras, and what it says where it needs one."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from codingspot.extras import EXTRAS, TRACKERS

ROOT = Path(__file__).parents[1]
WITHOUT = f"""
import sys
class Without:
    def __init__(self, finder):
        self._finder = finder
    def __getattr__(self, name):
        return getattr(self._finder, name)
    def find_spec(self, name, *arguments):
        blocked = name.partition(".")[0] in {sorted({*EXTRAS, "accelerate", "gguf", "peft"})}
        return None if blocked else self._finder.find_spec(name, *arguments)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
STAGES = """
from codingspot import Spot, WeightEditor, find_spot, load_model, score, world_corpus
from codingspot.export import EXPORTS
loaded = load_model("testbed")
scores = score(loaded, world_corpus(documents=20, seed=0), "scores", token_budget=512)
spot = find_spot(scores, recipe="set_difference", scope="blocks", max_k_percent=1)
with WeightEditor(loaded) as editor:
    editor.apply(spot.top(0.5), "zero")
spot.save("spot.safetensors")
"""


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` where no optional package can be imported."""
    command = [sys.executable, "-c", WITHOUT + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def cli(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command there."""
    return python("from codingspot.cli import main; main()", *arguments, cwd=cwd)


def test_a_bare_installation_scores_finds_edits_and_exports(tmp_path: Path) -> None:
    ran = python(STAGES, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    scoring = ("score", "testbed", "--token-budget", "512", "--documents", "20", "--out", "again")
    for command in (("methods",), scoring, ("export", "mask", "spot.safetensors", "--k", "0.5", "--out", "mask")):
        ran = cli(*command, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("demo", "--out", "run"), "report"),
        (("report", "run"), "report"),
        (("eval", "testbed", "--task", "testbed_roles", "--out", "new"), "eval"),
        (("estimate", "testbed", "--preset", "paper"), "eval"),
        (("bench", "--out", "new"), "eval"),
        (("neurons", "testbed", "--out", "new"), "eval"),
        (("align", "testbed", "--out", "new"), "report"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_a_command_names_the_extra_that_it_needs_before_the_work(
    command: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    ran = cli(*command, cwd=tmp_path)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert f"pip install 'codingspot[{extra}]'" in line
    assert not list(tmp_path.iterdir())


def test_python_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    caught = """
from codingspot.errors import CodingSpotError
try:
    from codingspot import run_study
    run_study
except CodingSpotError as error:
    print(error)
"""
    assert "pip install 'codingspot[eval]'" in python(caught, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("from codingspot.views.lens.keywords import english_words; english_words(10)", "lens"),
        ("from codingspot.corpus.rows import hub_rows; next(hub_rows('a/b'))", "hub"),
        ("from codingspot.study.ray_cluster import Workers, connected; connected(Workers()).__enter__()", "cluster"),
    ],
)
def test_what_is_imported_when_it_is_used_names_its_extra(code: str, extra: str, tmp_path: Path) -> None:
    assert f"pip install 'codingspot[{extra}]'" in python(code, cwd=tmp_path).stderr


def test_extras_bring_what_is_said_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {"lm_eval": "lm-eval", "sklearn": "scikit-learn"}
    for package, extra in EXTRAS.items():
        brought = [re.split(r"[<>=\[]", requirement)[0] for requirement in extras[extra]]
        assert names.get(package, package) in brought
        assert (extra in re.findall(r"\w+", extras["all"][0])) is (package not in TRACKERS)
