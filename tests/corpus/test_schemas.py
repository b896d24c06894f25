import pytest
from rows_files import tiny_codes

from codingspot.corpus.admission import Reason
from codingspot.corpus.schemas import SCHEMAS, Candidate, Reading, schema_of
from codingspot.errors import CorpusError

READING = Reading(("rust", "cpp", "bash"))
RESPONSE = "Sure:\n```rust\nfn a() {}\n```\nRun:\n```bash\ncargo run\n```\nor\n```\nfn b() {}\n```\n```text\n1\n```\n"


def read(row: dict, reading: Reading = READING) -> list[Candidate]:
    return list(schema_of(row).read(row, reading))


def test_tiny_codes_as_in_the_paper_and_as_released() -> None:
    row = dict(tiny_codes("Rust", RESPONSE))
    assert schema_of(row).name == "tiny-codes"
    assert read(row) == [
        ("rust", "code", "fn a() {}\n"),
        ("rust", "code", Reason.OTHER_BLOCK),
        ("rust", "code", "fn b() {}\n"),
        ("rust", "code", Reason.OTHER_BLOCK),
    ]
    assert read(row, Reading(("rust",), variant="released-code")) == [("rust", "code", "rust\nfn a() {}\n")]
    assert read(dict(tiny_codes("C++", "No code."))) == [("cpp", "code", Reason.NO_BLOCK)]
    assert read(dict(tiny_codes("Neo4j database and Cypher", RESPONSE))) == [(None, "code", Reason.OTHER_LANGUAGE)]


@pytest.mark.parametrize(
    ("name", "row", "candidate"),
    [
        ("mt-mbpp", {"task_id": 11, "language": "rust", "text": "Write", "code": "fn a() {}"}, "fn a() {}"),
        ("the-stack", {"content": "fn a() {}", "lang": "Rust", "path": "a", "size": 9}, "fn a() {}"),
        (
            "github-code",
            {"code": "fn a() {}", "repo_name": "a/b", "path": "x", "language": "Rust", "license": "mit", "size": 9},
            "fn a() {}",
        ),
        (
            "github-files",
            {"content": b"fn a() {}", "repo_name": "a/b", "path": "src/a.rs", "license": "mit", "size": "9"},
            b"fn a() {}",
        ),
    ],
)
def test_data_sets_of_code(name: str, row: dict, candidate: str | bytes) -> None:
    assert schema_of(row) is SCHEMAS[name]
    assert read(row) == [("rust", "code", candidate)]
    assert read(row, Reading(("go",))) == [(None, "code", Reason.OTHER_LANGUAGE)]


def test_other_rows_have_a_text_and_a_domain() -> None:
    assert read({"text": "a", "domain": "C++"}) == [("cpp", "code", "a")]
    assert read({"text": "a", "domain": "english"}) == [("english", "general", "a")]
    assert read({"text": "a", "domain": "Go"}) == [(None, "code", Reason.OTHER_LANGUAGE)]
    named = Reading((), domain="german", kind="general", text_field="body")
    assert read({"body": "ein Satz", "domain": "C++"}, named) == [("german", "general", "ein Satz")]
    with pytest.raises(CorpusError, match="no text in field 'text'; it has code"):
        read({"code": "a"})
    with pytest.raises(CorpusError, match="no field 'domain' to name its domain"):
        read({"text": "a"})
