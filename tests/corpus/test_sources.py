import json

import pytest

from codingspot.corpus import corpus_from_folder, corpus_from_jsonl, domain_from_files, domain_from_jsonl
from codingspot.errors import CorpusError


def _jsonl(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_domain_from_jsonl_reads_the_field_and_drops_blank_texts(tmp_path) -> None:
    _jsonl(tmp_path / "rust.jsonl", [{"code": "a\u2028b"}, {"code": "  "}, {"code": "c"}])
    domain = domain_from_jsonl(tmp_path / "rust.jsonl", text_field="code", held_out=True)
    assert (domain.name, domain.kind, domain.texts, domain.held_out) == ("rust", "code", ("a\u2028b", "c"), True)


def test_corpus_from_jsonl_groups_rows_by_domain(tmp_path) -> None:
    _jsonl(
        tmp_path / "all.jsonl",
        [{"domain": "Go", "text": "1"}, {"domain": "C", "text": "2"}, {"domain": "Go", "text": "3"}],
    )
    corpus = corpus_from_jsonl(tmp_path / "all.jsonl", general=["C"], held_out=["Go"])
    assert [(domain.name, domain.kind, domain.held_out, domain.texts) for domain in corpus.domains] == [
        ("C", "general", False, ("2",)),
        ("Go", "code", True, ("1", "3")),
    ]


def test_corpus_from_folder_has_a_domain_for_each_sub_folder_and_file(tmp_path) -> None:
    (tmp_path / "Rust" / "deep").mkdir(parents=True)
    (tmp_path / "Rust" / "b.rs").write_text("second")
    (tmp_path / "Rust" / "a.rs").write_text("first")
    (tmp_path / "Rust" / "deep" / "c.rs").write_text("third")
    (tmp_path / "Rust" / ".hidden").write_text("no")
    (tmp_path / ".git").mkdir()
    _jsonl(tmp_path / "English.jsonl", [{"text": "A sentence."}])
    corpus = corpus_from_folder(tmp_path, general=["English"])
    assert corpus.domain("Rust").texts == ("first", "second", "third")
    assert corpus.general == (corpus.domain("English"),)
    assert len(corpus.domains) == 2


def test_faults_are_named(tmp_path) -> None:
    path = tmp_path / "x.jsonl"
    with pytest.raises(CorpusError, match=r"x\.jsonl can't be read"):
        domain_from_jsonl(path)
    path.write_text("")
    with pytest.raises(CorpusError, match="holds no text"):
        domain_from_jsonl(path)
    path.write_text('{"text": "a"}\n{"text": ')
    with pytest.raises(CorpusError, match=r"line 2 is not JSON"):
        domain_from_jsonl(path)
    path.write_text('["a"]\n')
    with pytest.raises(CorpusError, match=r"line 1 is not a JSON object"):
        domain_from_jsonl(path)
    path.write_text('{"code": "a"}\n')
    with pytest.raises(CorpusError, match=r"no text in field 'text'; it has code"):
        domain_from_jsonl(path)
    path.write_text('{"text": "\\ud800"}\n')
    with pytest.raises(CorpusError, match="half a surrogate pair"):
        domain_from_jsonl(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CorpusError, match="not UTF-8"):
        domain_from_jsonl(path)


def test_empty_folders_and_unknown_domains_are_named(tmp_path) -> None:
    with pytest.raises(CorpusError, match="not a folder"):
        corpus_from_folder(tmp_path / "none")
    with pytest.raises(CorpusError, match="not a folder"):
        domain_from_files(tmp_path / "none")
    with pytest.raises(CorpusError, match="neither sub-folders"):
        corpus_from_folder(tmp_path)
    (tmp_path / "Rust").mkdir()
    with pytest.raises(CorpusError, match="no text for domain 'Rust'"):
        corpus_from_folder(tmp_path)
    (tmp_path / "Rust" / "a.rs").write_text("x")
    with pytest.raises(CorpusError, match=r"no domain 'English' .* among Rust"):
        corpus_from_folder(tmp_path, general=["English"])
