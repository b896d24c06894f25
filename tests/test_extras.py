"""What a bare installation does without the packages of its extras, and what it says where it needs one."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
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
scores = score(loaded, world_corpus(20, 0, ["go", "python"]), "scores", token_budget=512)
spot = find_spot(scores, recipe="set_difference", scope="blocks", max_k_percent=1)
with WeightEditor(loaded) as editor:
    editor.apply(spot.top(0.5), "zero")
spot.save("spot.safetensors")
"""


# Imports take longer than what is tried: one process makes those of every trial, and each trial is a fork of it.
TRIALS = """
import codingspot.cli, json, os, pandas, pyarrow.parquet, scipy.stats, tempfile, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast
def tried(code, folder):
    with tempfile.TemporaryFile("w+") as stream:
        if os.fork() == 0:
            os.chdir(folder)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(stream.fileno(), 2)
            try:
                exec(code, {})
                status = 0
            except SystemExit as ended:
                status = ended.code or 0
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                status = 99
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.wait()[1])
        stream.seek(0)
        return status, stream.read()
for line in sys.stdin:
    print(json.dumps(tried(*json.loads(line))), flush=True)
"""
COMMAND = "import codingspot.cli, sys; sys.argv = ['codingspot', *{!r}]; codingspot.cli.main()"

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


class Bare:
    """Runs code where no optional package can be imported."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, code: str, folder: Path) -> tuple[int, str]:
        """Exit status and errors."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([code, str(folder)]), file=self._process.stdin, flush=True)
        status, errors = json.loads(self._process.stdout.readline())
        return status, errors


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    command = [sys.executable, "-c", WITHOUT + TRIALS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Bare(process)


def test_a_bare_installation_scores_finds_edits_and_exports(bare: Bare, tmp_path: Path) -> None:
    scoring = ("score", "testbed", "--language", "go", "--token-budget", "512", "--documents", "20", "--out", "again")
    commands = (("methods",), scoring, ("export", "mask", "spot.safetensors", "--k", "0.5", "--out", "mask"))
    for code in (STAGES, *map(COMMAND.format, commands)):
        status, errors = bare.run(code, tmp_path)
        assert status == 0, errors


@pytest.mark.parametrize(("command", "extra"), COMMANDS.items(), ids=[command[0] for command in COMMANDS])
def test_a_command_names_the_extra_that_it_needs_before_the_work(
    command: tuple[str, ...], extra: str, bare: Bare, tmp_path: Path
) -> None:
    status, errors = bare.run(COMMAND.format(command), tmp_path)
    assert status == 1
    (line,) = errors.splitlines()
    assert f"pip install 'codingspot[{extra}]'" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "extra"), SNIPPETS.items(), ids=SNIPPETS.values())
def test_python_names_the_extra_that_it_needs(code: str, extra: str, bare: Bare, tmp_path: Path) -> None:
    status, errors = bare.run(code, tmp_path)
    assert status == 99
    assert f"pip install 'codingspot[{extra}]'" in errors


def test_extras_bring_what_is_said_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {"lm_eval": "lm-eval", "sklearn": "scikit-learn"}
    for package, extra in EXTRAS.items():
        brought = [re.split(r"[<>=\[]", requirement)[0] for requirement in extras[extra]]
        assert names.get(package, package) in brought
        assert (extra in re.findall(r"\w+", extras["all"][0])) is (package not in TRACKERS)
