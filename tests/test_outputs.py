"""What a user has is never overwritten or removed: what may be written where, and that every writer asks."""

import ast
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

import codingspot
from codingspot.analysis import save_analysis
from codingspot.bench import run_bench
from codingspot.bench.report import write_bench_report
from codingspot.corpus import Corpus, Domain
from codingspot.errors import OutputError
from codingspot.evaluation.results import ItemOutcome, Results
from codingspot.files import write_json
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import ParameterLayout
from codingspot.outputs import check_file, check_inputs, new_file, new_folder
from codingspot.report import build_report
from codingspot.spot import Spot
from codingspot.study import parse_study, run_study
from codingspot.testbed.benchmarks import write_benchmarks
from codingspot.testbed.recipe import Recipe
from codingspot.testbed.routing import LayerUnits, Subset
from codingspot.testbed.training import train


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, *, force: bool = False, **files: str) -> None:
    with new_folder(folder, "codingspot-test", force=force) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text)


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "prec" / "thesis"
    folder.mkdir(parents=True)
    (folder / "a").write_text("years of work")
    return folder.parent


CORPUS = Corpus("c", (Domain("go", "code", ("package a",)),))
LAYOUT = ParameterLayout(("a",), ((4,),))
STUDY = "name: s\nspots: [{name: a, k_percent: [1]}]"


def save_spot(path: Path, force: bool) -> None:
    Spot(torch.tensor([1, 2]), torch.zeros(2), LAYOUT).save(path, force=force)


def save_scores(path: Path, force: bool) -> None:
    ScoreStore.write(path, [NewDomainScores("go", "code", {"a": torch.ones(4)})], force=force)


def save_results(path: Path, force: bool) -> None:
    Results.of_cell("original", [ItemOutcome("task", 0, 1.0, "")]).write(path, force=force)


FOLDERS: dict[str, Callable[[Path, bool], object]] = {
    "scores": save_scores,
    "corpus": lambda path, force: CORPUS.save(path, force=force),
    "tasks": lambda path, force: write_benchmarks(path, force=force),
}
DIRECTORIES: dict[str, Callable[[Path], object]] = {
    "analysis": lambda path: save_analysis(path, "a", {}, {}),
    "study": lambda path: run_study(parse_study(STUDY, "study"), path),
    "benchmark": lambda path: run_bench(path, methods=[], models=[]),
    "benchmark's report": lambda path: write_bench_report(pd.DataFrame(), path),
    "training": lambda path: train(Recipe(), path),
    "report": build_report,
}


@pytest.mark.parametrize("name", [*FOLDERS, *DIRECTORIES])
def test_a_folder_of_the_user_is_left_alone(name: str, letters: Path) -> None:
    before = tree(letters)
    with pytest.raises(OutputError, match="thesis/a"):
        FOLDERS[name](letters, True) if name in FOLDERS else DIRECTORIES[name](letters)
    assert tree(letters) == before
    assert [path.name for path in letters.parent.iterdir()] == ["prec"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_ours_is_replaced_on_demand_but_never_with_what_is_not(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    FOLDERS[name](out, False)
    before = tree(out)
    with pytest.raises(OutputError, match="--force"):
        FOLDERS[name](out, False)
    FOLDERS[name](out, True)
    assert tree(out) == before
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes/mine\.txt"):
        FOLDERS[name](out, True)
    assert tree(out) == {**before, "notes/mine.txt": b"mine"}


@pytest.mark.parametrize("save", [save_spot, save_results])
def test_a_file_of_the_user_is_left_alone_and_one_of_ours_replaced_on_demand(
    save: Callable[[Path, bool], None], tmp_path: Path
) -> None:
    path = tmp_path / "x" if save is save_spot else tmp_path
    save(path, False)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="--force"):
        save(path, False)
    save(path, True)
    assert tree(tmp_path).keys() == before.keys()
    for file in before:
        (tmp_path / file).write_text("mine")
    with pytest.raises(OutputError, match="is not a file that codingspot wrote"):
        save(path, True)
    assert set(tree(tmp_path).values()) == {b"mine"}


def test_json_beside_a_model_is_replaced_only_where_it_is_the_same_thing(tmp_path: Path) -> None:
    subset = Subset(layers=(LayerUnits(neurons=(0,), heads=(0,), key_value_heads=(0,)),), head_size=2)
    subset.save(tmp_path)
    with pytest.raises(OutputError, match="--force"):
        subset.save(tmp_path)
    subset.save(tmp_path, force=True)
    write_json(tmp_path / "subset.json", {"sum": 3})
    with pytest.raises(OutputError, match="not a file that codingspot wrote"):
        subset.save(tmp_path, force=True)


def mine_meanwhile(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    return "ours"


def test_what_comes_between_the_check_and_the_rename_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="late"), new_folder(tmp_path / "out", "codingspot-test"):
        mine_meanwhile(tmp_path / "out" / "late")
    file = tmp_path / "file"
    with pytest.raises(OutputError, match="not a file"), new_file(file, lambda _: False) as temporary:
        temporary.write_text(mine_meanwhile(file))
    assert tree(tmp_path) == {"out/late": b"mine", "file": b"mine"}


def test_a_manifest_of_something_else_is_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    with pytest.raises(OutputError, match="did not write it"):
        write(tmp_path, force=True, a="ours")


ODD = [
    {"domains": None, "files": ["a"]},
    {"domains": 5},
    {"domains": [{"files": 5}]},
    {"domains": [{"files": None}]},
    {"domains": [{"file": "../a"}]},
    {"domains": [{"files": ["/a"]}]},
    {"domains": ["a"]},
    {"files": None},
    {"files": 5},
    {"files": "a"},
    {"files": ["a", 5]},
    {"files": ["a", "../a"]},
    {"files": ["a", "b//c"]},
    {"files": ["a", ""]},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_manifest_that_is_not_just_as_ours_is_a_stranger(odd: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    write_json(tmp_path / "manifest.json", {"format": "codingspot-corpus", **odd})
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="codingspot did not write it"):
        write(tmp_path, force=True, a="ours")
    with pytest.raises(OutputError, match="not a run directory"):
        build_report(tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("settings", [5, None, [], {"token_budget": "1", "limit": 1, "seed": 0}])
def test_settings_of_something_else_make_no_benchmark(settings: object, tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "settings.json", settings)
    with pytest.raises(OutputError, match="not a run directory"):
        run_bench(tmp_path, methods=[], models=[])


def test_a_run_is_never_replaced(tmp_path: Path) -> None:
    save_analysis(tmp_path / "run", "a", {}, {})
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="holds a run, which is never replaced"):
        write(tmp_path / "run", force=True, a="ours")
    assert tree(tmp_path) == before


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", a="ours")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "ours"


def test_a_folder_where_a_file_belongs_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_file(tmp_path, lambda _: True, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        write(tmp_path / "file", force=True)


def test_output_keeps_clear_of_input(tmp_path: Path) -> None:
    source = tmp_path / "a" / "source"
    source.mkdir(parents=True)
    (source / "one.txt").touch()
    (tmp_path / "link").symlink_to(source)
    for out, words in (
        (source, "is"),
        (source / "b", "lies within"),
        (tmp_path, "contains"),
        (tmp_path / "link", "is"),
    ):
        with pytest.raises(OutputError, match=f"{words} the input"):
            check_inputs(out, [source])
    with pytest.raises(OutputError, match="contains the input"):
        check_inputs(source, [str(source / "*.txt")])
    check_inputs(tmp_path / "a" / "source-2", [source, None, "", "org/name"])


def test_the_folder_that_a_command_runs_in_is_not_replaced(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (Path(), tmp_path):  # whose shell would be left in a folder that is gone
        with (
            pytest.raises(OutputError, match="is the folder that the command runs in"),
            new_folder(name, "codingspot-x"),
        ):
            raise AssertionError


HELD = """
analysis.py bench/report.py bench/run.py files.py directories.py outputs.py importance/writing.py importance/halving.py
importance/journal.py corpus/corpus.py views/lens/analysis.py views/neurons/analysis.py views/neurons/counting.py
report/build.py study/directory.py tables.py testbed/training.py cli/views.py study/reuse.py export/lora.py
export/writing.py
"""
"""Modules that write inside a folder that was asked for by `new_folder` or that is `held`."""


def test_no_other_module_writes_without_asking() -> None:
    source = Path(codingspot.__file__).parent
    wild = {"atomic_path", "write_text", "write_json", "write_bytes", "to_parquet", "save_pretrained", "savefig"}
    inside = {
        "report/drawing.py",
        "cli/listing.py",  # to the terminal
        "testbed/benchmarks.py",
        "remote.py",
    }  # given a folder of one of those
    inside |= {f"export/{name}.py" for name in ("checkpoint", "distilled", "rewriting", "smaller")}
    found = set()
    for path in source.rglob("*.py"):
        if "sandbox" in path.parts:  # its own folders of temporary files
            continue
        names = {node.id for node in ast.walk(tree_of(path)) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
        if names & wild:
            found.add(path.relative_to(source).as_posix())
    assert found <= {*HELD.split(), *inside}, "ask by new_folder, new_file or held before you write"


def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))
