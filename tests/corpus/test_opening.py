import os
from pathlib import Path

import pytest
from rows_files import tiny_codes, write_rows

from codingspot.corpus import Source, open_corpus
from codingspot.errors import CorpusError

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def answer(code: str, tag: str = "") -> str:
    return f"Here it is:\n```{tag}\n{code}\n```\nIt works.\n"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Answers in three languages: good ones, one of every fault, and Python to be held out."""
    rust = [answer(f"// remark {number}\nfn f{number}() {{}}", "rust") for number in range(6)]
    faulty = [
        "No code at all.",
        answer("fn f0() {}"),  # only a comment less than the first
        answer("// nothing but a remark"),
        answer("let x = \0;"),
        answer("let x = " + "1 + " * 300 + "1;"),
    ]
    others = [tiny_codes("Python", answer(f'def f{number}():\n    """Doc."""')) for number in range(3)]
    return write_rows(
        tmp_path / "tiny.jsonl.gz",
        [
            *(tiny_codes("Rust", response) for response in rust + faulty),
            *others,
            tiny_codes("Neo4j database and Cypher", answer("MATCH")),
        ],
    )


def test_pure_code_by_language_with_what_was_dropped(rows: Path) -> None:
    corpus = open_corpus(rows, held_out=["Python"])
    assert [(domain.name, domain.kind, domain.held_out) for domain in corpus.domains] == [
        ("python", "code", True),
        ("rust", "code", False),
    ]
    assert sorted(corpus.domain("rust").texts) == [f"fn f{number}() {{}}\n" for number in range(6)]
    assert corpus.domain("rust").dropped == {
        "binary": 1,
        "duplicate": 1,
        "minified": 1,
        "no fenced block": 1,
        "nothing left": 1,
    }
    assert sorted(corpus.domain("python").texts) == [f"def f{number}():\n    pass\n" for number in range(3)]
    assert corpus.made["dropped"] == {"other language": 1}
    assert corpus.name == "tiny"


def test_as_released_keeps_the_tag_and_the_comments(rows: Path) -> None:
    corpus = open_corpus(rows, variant="released-code", languages=["rust"], seed=None)
    assert corpus.domain("rust").texts[0] == "rust\n// remark 0\nfn f0() {}\n"
    assert corpus.made["purified"] is False


def test_a_full_domain_takes_no_more_and_a_full_corpus_reads_no_more(tmp_path: Path) -> None:
    good = [tiny_codes("Go", answer(f"var a{number} int")) for number in range(5)]
    path = write_rows(tmp_path / "go.jsonl", good)
    path.write_text(path.read_text() + "not JSON\n")
    corpus = open_corpus(path, languages=["go"], documents=3, seed=None)
    assert corpus.domain("go").texts == tuple(f"var a{number} int\n" for number in range(3))
    with pytest.raises(CorpusError, match="line 6 is not JSON"):
        open_corpus(path, languages=["go"], documents=6, seed=None)


def test_the_token_budget_is_met_by_the_last_text(tmp_path: Path, tokenizer) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"text": "a b c d " + letter, "domain": "english"} for letter in "abcdef"])
    corpus = open_corpus(path, token_budget=11, tokenizer=tokenizer)
    assert len(corpus.domain("english").texts) == 3
    assert corpus.made["tokens"] == {"english": 15}
    with pytest.raises(CorpusError, match="a token budget needs the tokenizer"):
        open_corpus(path, token_budget=11)


def test_the_seed_draws_the_texts(rows: Path) -> None:
    first, again, other = (open_corpus(rows, languages=["rust"], documents=3, seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    texts = [answer(f"# remark\necho {number % 150}" + "\0" * (number % 7 == 0)) for number in range(300)]
    path = write_rows(tmp_path / "a.jsonl", [tiny_codes("Bash", text) for text in texts])
    alone = open_corpus(path, languages=["bash"], documents=90)
    parallel = open_corpus(path, languages=["bash"], documents=90, workers=2)
    assert alone == parallel
    assert alone.domains[0].dropped == parallel.domains[0].dropped
    assert alone.domains[0].dropped["binary"] > 0


def test_several_sources_make_one_corpus(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "main.rs").write_text("fn main() {} // end\n")
    (tmp_path / "project" / "bad.rs").write_bytes(b"\xff")
    (tmp_path / "text.txt").write_text("A sentence.\n\n = Title = \n\nAnother sentence.\n")
    corpus = open_corpus(
        [rows, tmp_path / "project", Source(str(tmp_path / "text.txt"), domain="prose")],
        languages=["rust"],
        held_out=["prose"],
    )
    assert corpus.domain("rust").dropped["not UTF-8"] == 1
    assert "fn main() {}\n" in corpus.domain("rust").texts
    assert sorted(corpus.domain("prose").texts) == ["A sentence.", "Another sentence."]
    assert corpus.domain("prose").dropped == {"heading": 1}
    assert corpus.domain("prose").held_out
    assert [source["path"] for source in corpus.made["sources"]][1:] == [
        str(tmp_path / "project"),
        str(tmp_path / "text.txt"),
    ]


def test_a_saved_corpus_is_loaded_as_it_is(tmp_path: Path, rows: Path) -> None:
    built = open_corpus(rows, variant="released-code")
    built.save(tmp_path / "saved")
    loaded = open_corpus(tmp_path / "saved", held_out=["python"])
    assert loaded.domain("rust") == built.domain("rust")
    assert loaded.domain("rust").dropped == built.domain("rust").dropped
    assert loaded.made == built.made
    assert loaded.domain("python").held_out
    (tmp_path / "text.txt").write_text("A sentence.\n")
    joined = open_corpus([tmp_path / "saved", tmp_path / "text.txt"])
    assert joined.domain("rust") == built.domain("rust")
    assert joined.general


def test_faults_are_named(tmp_path: Path, rows: Path) -> None:
    with pytest.raises(CorpusError, match=r"tiny has no domain 'pyhton'; it has python, rust"):
        open_corpus(rows, held_out=["pyhton"])
    with pytest.raises(CorpusError, match=r"tiny holds no text of go \(other language: 15\)"):
        open_corpus(rows, languages=["go"])
    with pytest.raises(CorpusError, match="haskell can't be purified"):
        open_corpus(rows, languages=["haskell"])
    path = write_rows(tmp_path / "a.jsonl", [{"text": "x", "domain": "esperanto"}])
    with pytest.raises(CorpusError, match="unknown programming language 'esperanto'"):
        open_corpus(path)
    assert open_corpus(path, general=["esperanto"]).general
    assert open_corpus(path, purified=False).code
    write_rows(path, [{"text": "x", "domain": "english"}])
    write_rows(tmp_path / "english.jsonl", [{"text": "x"}])
    with pytest.raises(CorpusError, match="both code and general text"):
        open_corpus([path, Source(str(tmp_path / "english.jsonl"), domain="english", kind="code")], purified=False)


def test_real_rows_make_a_corpus() -> None:
    if not (SHARED / "mt-mbpp").exists() or not (SHARED / "english").exists():
        pytest.skip("mt-mbpp and english are not in ../shared/data")
    sources = [os.fspath(SHARED / "mt-mbpp/parallel_functions.jsonl.gz"), os.fspath(SHARED / "english/wikitext2*.txt")]
    corpus = open_corpus(sources, held_out=["python"], documents=20)
    assert [domain.name for domain in corpus.scored] == [
        *("bash", "cpp", "csharp", "go", "java", "javascript", "ruby", "rust", "typescript"),
        "english",
    ]
    assert {len(domain.texts) for domain in corpus.domains} == {20}
