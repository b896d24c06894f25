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
        (("lens", "--language", "cobol", "--language", "java"), "the testbed has no cobol"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path):
    result = call(*arguments, "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
