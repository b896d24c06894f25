from pathlib import Path

import pytest
from rows_files import tiny_codes, write_rows

from codingspot.corpus import Source
from codingspot.corpus.admission import Reason
from codingspot.corpus.schemas import Reading
from codingspot.corpus.sources import Texts, texts_of
from codingspot.errors import CorpusError

READING = Reading(("rust", "go", "python"))


def texts(path: Path | str, seed: int | None = None, **options: str) -> Texts:
    return texts_of(Source(str(path), **options), READING, seed)


def test_a_folder_of_source_files_is_told_apart_by_extension(tmp_path: Path) -> None:
    for name in ("b.rs", "deep/a.rs", "deep/c.go", "README", "d.c", ".hidden/e.rs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = texts(tmp_path)
    assert list(found.candidates) == [
        (None, "code", Reason.OTHER_LANGUAGE),
        ("rust", "code", b"b.rs"),
        (None, "code", Reason.OTHER_LANGUAGE),
        ("rust", "code", b"deep/a.rs"),
        ("go", "code", b"deep/c.go"),
    ]
    assert found.domains == {"rust", "go", "python"}
    shuffled = [list(texts(tmp_path, seed=seed).candidates) for seed in (1, 1, 4)]
    assert shuffled[0] == shuffled[1] != shuffled[2]


def test_a_folder_by_domains_has_one_for_each_sub_folder_and_file(tmp_path: Path) -> None:
    (tmp_path / "Rust" / "deep").mkdir(parents=True)
    (tmp_path / "Rust" / "b.txt").write_text("second")
    (tmp_path / "Rust" / "deep" / "c.rs").write_text("third")
    (tmp_path / ".git").mkdir()
    write_rows(tmp_path / "english.jsonl.gz", [{"text": "A sentence."}])
    found = texts(tmp_path)
    assert list(found.candidates) == [
        ("rust", "code", b"second"),
        ("rust", "code", b"third"),
        ("english", "general", "A sentence."),
    ]
    assert found.domains == {"rust", "english"}


def test_a_folder_of_nothing_but_txt_files_is_general_text(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"First of {name}.\n\nSecond of {name}.\n")
    found = texts(tmp_path)
    assert [candidate.text for candidate in found.candidates] == [
        "First of a.",
        "Second of a.",
        "First of b.",
        "Second of b.",
    ]
    assert found.domains == {"english"}


def test_the_layout_of_a_folder_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "a.rs").write_text("fn")
    assert [candidate.domain for candidate in texts(tmp_path).candidates] == ["go"]
    assert [candidate.domain for candidate in texts(tmp_path, schema="files").candidates] == ["rust"]
    with pytest.raises(CorpusError, match="unknown schema 'tree'; use one of tiny-codes, "):
        texts(tmp_path, schema="tree")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="neither sub-folders"):
        texts(tmp_path / "empty", schema="domains")


def test_plain_text_is_general_by_paragraph_or_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("First\nparagraph.\r\n\r\nSecond.\n \n\nThird.\n")
    (tmp_path / "b.txt").write_text("One line.\nAnother line.\n")
    assert list(texts(tmp_path / "*.txt").candidates) == [
        ("english", "general", text)
        for text in ("First\nparagraph.", "Second.", "Third.", "One line.", "Another line.")
    ]
    named = texts(tmp_path / "b.txt", domain="prose")
    assert named.domains == {"prose"}
    assert [candidate.domain for candidate in named.candidates] == ["prose", "prose"]


def test_rows_are_known_by_their_columns_or_by_a_given_schema(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [tiny_codes("Go", "```go\nvar a int\n```\n")])
    found = texts(path)
    assert list(found.candidates) == [("go", "code", "var a int\n")]
    assert found.domains == {"rust", "go", "python"}
    as_text = texts(path, schema="text", text_field="prompt", domain="prompts", kind="general")
    assert list(as_text.candidates) == [("prompts", "general", "Write a Go program")]
    with pytest.raises(CorpusError, match=r"a\.jsonl has no column 'content', which schema the-stack needs"):
        texts(path, schema="the-stack")
    with pytest.raises(CorpusError, match=r"a\.jsonl: a row has no text in field 'text'; it has prompt, "):
        list(texts(path, schema="text").candidates)


@pytest.mark.parametrize("path", ["nothing", "../nothing/a.jsonl", "a/b/c", "no*.txt"])
def test_what_is_nowhere_is_named(path: str) -> None:
    with pytest.raises(CorpusError, match="is no file, folder or pattern of files, and no Hub id"):
        texts(path)


def test_a_hub_id_is_read_at_the_commit_it_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rows(repository: str, **options: object):
        asked.append((repository, options))
        yield {"id": "1", "url": "", "title": "A", "text": "An article."}

    monkeypatch.setattr("codingspot.corpus.sources.hub_revision", lambda name, revision: f"commit of {name}@{revision}")
    monkeypatch.setattr("codingspot.corpus.sources.hub_rows", rows)
    found = texts("wikimedia/wikipedia@main", config="20231101.simple", seed=5)
    assert list(found.candidates) == [("english", "general", "An article.")]
    assert found.domains == {"english"}
    assert found.revision == "commit of wikimedia/wikipedia@main"
    options = {"config": "20231101.simple", "split": None, "revision": found.revision, "seed": 5}
    assert asked == [("wikimedia/wikipedia", options)]
