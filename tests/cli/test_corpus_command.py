import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from codingspot.cli.app import app
from codingspot.corpus import Corpus


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["corpus", *arguments], env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.rs").write_text("// remark\nfn a() {}\n")
    (folder / "b.py").write_text('"""Doc."""\nx = 1\n')
    (folder / "c.py").write_text("# remark\nx = 1\n")
    (folder / "d.py").write_bytes(b"\xff")
    (folder / "notes.md").write_text("Notes.")
    (tmp_path / "english.txt").write_text("A sentence.\nAnother one.\n")
    return folder


def test_help_has_an_example() -> None:
    result = call("--help")
    assert result.exit_code == 0
    assert "Example: codingspot corpus" in " ".join(result.output.split())
    assert max(map(len, result.output.splitlines())) <= 80


def test_what_is_in_the_corpus_and_what_was_dropped_is_printed(project: Path, tmp_path: Path) -> None:
    result = call(str(project), str(tmp_path / "english.txt"), "--out", str(tmp_path / "out"), "--workers", "1")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["rust", "code", "1", "10", "-"] in lines
    assert ["python", "(held", "out)", "code", "1", "6", "duplicate", "1,", "not", "UTF-8", "1"] in lines
    assert ["english", "general", "2", "23", "-"] in lines
    assert "no text: bash, cpp, csharp, go, java, javascript, julia, ruby, typescript" in result.output
    assert "dropped before they had a domain: other language 1" in result.output
    assert Corpus.load(tmp_path / "out").domain("rust").texts == ("fn a() {}\n",)


def test_a_script_reads_the_manifest(project: Path, tmp_path: Path) -> None:
    result = call(str(project), "-l", "Rust", "--no-purify", "--out", str(tmp_path / "out"), "--json")
    manifest = json.loads(result.output)
    assert [domain["name"] for domain in manifest["domains"]] == ["rust"]
    assert manifest["made"]["languages"] == ["rust"]
    assert manifest["made"]["purified"] is False
    assert Corpus.load(tmp_path / "out").domain("rust").texts == ("// remark\nfn a() {}\n",)


def test_a_file_whose_name_is_not_utf8_is_read_and_recorded_with_an_escape(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"d\xe9")
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    result = call(str(folder.parent), "--schema", "domains", "--no-purify", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    loaded = Corpus.load(tmp_path / "out")
    assert (loaded.name, [domain.name for domain in loaded.domains]) == (r"caf\udce9", [r"d\udce9"])
    assert loaded.made["sources"][0]["path"].endswith(r"caf\udce9")


def test_a_mixed_folder_gives_code_and_general_text(project: Path, tmp_path: Path) -> None:
    (project / "notes.txt").write_text("One.\n\nTwo.\n")
    (project / "below").mkdir()
    (project / "below" / "more.txt").write_text("Three.")
    result = call(str(project), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    domains = {domain.name: domain for domain in Corpus.load(tmp_path / "out").domains}
    assert set(domains) == {"rust", "python", "english"}
    assert set(domains["english"].texts) == {"One.", "Two.", "Three."}
    assert domains["english"].kind == "general"
    assert "other language 1" in result.output


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("", "a corpus's source can't be used: it is empty"),
        ("**", "** is no file, folder or pattern of files"),
        ("none/*.txt", "none/*.txt is no file, folder or pattern of files"),
        ("a**b", "a**b is "),
        ("~nobody-of-that-name/x", "there is no user of that name"),
        ("testbed", "testbed is no file"),
    ],
)
def test_a_source_that_is_none_is_one_line(
    source: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(source, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert named in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_tokens_are_counted_with_a_models_tokenizer(project: Path, tmp_path: Path) -> None:
    result = call(
        str(project), "--token-budget", "1", "--tokenizer", "testbed", "--out", str(tmp_path / "out"), "--json"
    )
    assert json.loads(result.output)["made"]["tokens"].keys() == {"python", "rust"}
    refused = call(str(project), "--token-budget", "1", "--out", str(tmp_path / "other"))
    assert refused.exit_code == 1
    assert "needs the tokenizer" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no file, folder or pattern of files"),
        (["PROJECT", "--variant", "original"], "unknown variant 'original'; use paper or released-code"),
        (["PROJECT", "-l", "haskell"], "haskell can't be purified"),
        (["PROJECT", "--token-budget", "5", "--tokenizer", "./none"], "./none has no tokenizer that can be loaded"),
    ],
)
def test_faults_are_one_line(project: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    given = [str(project) if argument == "PROJECT" else argument for argument in arguments]
    result = call(*given, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
