"""What a bare installation does without the packages of its extras, and what it says where it needs one."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

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


# Importing the package takes longer than what is tried: many things are tried in one process, each by a fork of it.
FORKED = """
import codingspot.cli, json, os, sys, tempfile
def forked(work):
    with tempfile.TemporaryFile("w+") as stream:
        if os.fork() == 0:
            os.dup2(stream.fileno(), 2)
            try:
                work()
                code = 0
            except SystemExit as ended:
                code = ended.code or 0
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                code = 99
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.wait()[1])
        stream.seek(0)
        return code, stream.read()
"""
EACH_COMMAND = """
def command(arguments):
    sys.argv = ["codingspot", *arguments]
    codingspot.cli.main()
print(json.dumps([forked(lambda: command(arguments)) for arguments in json.loads(sys.argv[1])]))
"""
EACH_SNIPPET = "print(json.dumps([forked(lambda: exec(code, {})) for code in json.loads(sys.argv[1])]))"

COMMANDS = {
    ("demo", "--out", "run"): "report",
    ("report", "run"): "report",
    ("eval", "testbed", "--task", "testbed_roles", "--out", "new"): "eval",
    ("estimate", "testbed", "--preset", "paper"): "eval",
    ("bench", "--out", "new"): "eval",
    ("neurons", "testbed", "--out", "new"): "eval",
    ("align", "testbed", "--out", "new"): "report",
}
SNIPPETS = {
    "from codingspot import run_study; run_study": "eval",
    "from codingspot.views.lens.keywords import english_words; english_words(10)": "lens",
    "from codingspot.corpus.rows import hub_rows; next(hub_rows('a/b'))": "hub",
    "from codingspot.study.ray_cluster import Workers, connected; connected(Workers()).__enter__()": "cluster",
}


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` where no optional package can be imported."""
    command = [sys.executable, "-c", WITHOUT + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def in_forks(code: str, each: Iterable[object], cwd: Path) -> list[tuple[int, str]]:
    """Exit status and errors of each, one after the other."""
    ran = python(FORKED + code, json.dumps(list(each)), cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    return [(status, errors) for status, errors in json.loads(ran.stdout.splitlines()[-1])]


def test_a_bare_installation_scores_finds_edits_and_exports(tmp_path: Path) -> None:
    ran = python(STAGES, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    scoring = ("score", "testbed", "--token-budget", "512", "--documents", "20", "--out", "again")
    commands = (("methods",), scoring, ("export", "mask", "spot.safetensors", "--k", "0.5", "--out", "mask"))
    assert [status for status, _ in in_forks(EACH_COMMAND, commands, tmp_path)] == [0, 0, 0]


def test_a_command_names_the_extra_that_it_needs_before_the_work(tmp_path: Path) -> None:
    for (command, extra), (status, errors) in zip(
        COMMANDS.items(), in_forks(EACH_COMMAND, COMMANDS, tmp_path), strict=True
    ):
        assert status == 1, command
        (line,) = errors.splitlines()
        assert f"pip install 'codingspot[{extra}]'" in line, command
    assert not list(tmp_path.iterdir())


def test_python_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    for (code, extra), (status, errors) in zip(
        SNIPPETS.items(), in_forks(EACH_SNIPPET, SNIPPETS, tmp_path), strict=True
    ):
        assert status == 99, code
        assert f"pip install 'codingspot[{extra}]'" in errors, code


def test_extras_bring_what_is_said_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {"lm_eval": "lm-eval", "sklearn": "scikit-learn"}
    for package, extra in EXTRAS.items():
        brought = [re.split(r"[<>=\[]", requirement)[0] for requirement in extras[extra]]
        assert names.get(package, package) in brought
        assert (extra in re.findall(r"\w+", extras["all"][0])) is (package not in TRACKERS)
