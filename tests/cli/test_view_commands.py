import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codingspot.cli.app import app


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def parallel(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"java": f"int f{n}() {{ return {n}; }}", "python": f"def f{n}(): return {n}"} for n in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_align_prints_the_pairs_and_reads_what_it_saved(parallel: Path, tmp_path: Path):
    arguments = ("align", "testbed", "--parallel", str(parallel), "--out", str(tmp_path / "run"))
    first = call(*arguments)
    assert first.exit_code == 0, first.output
    assert "closest: java and python" in first.output
    told = json.loads(call(*arguments, "--json").stdout)
    assert told["closest"]["first"] == "java"
    refused = call(*arguments, "--pooling", "last")
    assert refused.exit_code == 1
    assert "of another pooling; choose another --out" in " ".join(refused.output.split())


def test_lens_writes_a_page_beside_its_tables(parallel: Path, tmp_path: Path):
    run = tmp_path / "run"
    result = call("lens", "--parallel", str(parallel), "--items", "2", "--shots", "1", "--out", str(run), "--json")
    assert result.exit_code == 0, result.output
    assert {row["target"] for row in json.loads(result.stdout)["keyword_layers"]} == {"java", "python"}
    assert "<!doctype html>" in (run / "lens.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("neurons", "--selection", "best"), "--selection: Input should be 'lape' or 'per-language'"),
        (("neurons", "--quantile", "1.5"), "--quantile: Input should be less than 1"),
        (("align", "--pooling", "mean"), "--pooling: Input should be 'weighted' or 'last'"),
        (("align", "--parallel", "no-such-file.jsonl"), "no-such-file.jsonl"),
        (("align", "--language", "java"), "needs at least two languages"),
        (("neurons", "--compare", "nowhere"), "nowhere holds no finished analysis of neurons; run `codingspot neurons"),
        (("lens", "--keywords", "nowhere"), "nowhere holds no keyword file"),
        (("lens", "--language", "cobol", "--language", "java"), "the testbed has no cobol"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path):
    result = call(*arguments, "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_keyword_file_that_does_not_parse_is_named(parallel: Path, tmp_path: Path):
    keywords = tmp_path / "keywords"
    keywords.mkdir()
    (keywords / "java.json").write_text('{"name": "Java", "keywords": [')
    result = call("lens", "--parallel", str(parallel), "--keywords", str(keywords), "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert "java.json is not JSON" in " ".join(result.output.split()).replace("java. json", "java.json")


def test_lens_says_which_language_has_no_keyword(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    rows = [{"java": f"int f{n}() {{ return {n}; }}", "zig": f"fn f{n}() {{ return {n}; }}"} for n in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    languages = ("-l", "java", "-l", "zig")
    result = call(
        "lens", "--parallel", str(path), *languages, "--items", "1", "--shots", "1", "-o", str(tmp_path / "o")
    )
    assert result.exit_code == 0, result.output
    assert "no keyword that is a single token: zig" in result.output
