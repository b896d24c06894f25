import gzip
import json
from pathlib import Path

import pytest

from codingspot.corpus.parallel import ParallelCorpus, parallel_corpus, read_parallel
from codingspot.errors import CorpusError

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def write(path: Path, rows: list[dict]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_columns_are_languages_by_their_canonical_names(tmp_path):
    rows = [{"id": "1", "C#": "int a;", "Javascript": "let a", "note": 3}, {"id": "2", "C#": "b;", "Javascript": " b "}]
    corpus = read_parallel(write(tmp_path / "rows.jsonl.gz", rows))
    assert corpus.texts == {"csharp": ("int a;", "b;"), "javascript": ("let a", "b")}
    assert corpus.name == "rows"
    assert corpus.pairs == (("csharp", "javascript"), ("javascript", "csharp"))


def test_rows_of_one_text_are_joined_by_their_id(tmp_path):
    rows = [
        {"task_id": 1, "language": "go", "code": "a"},
        {"task_id": 2, "language": "go", "code": "b"},
        {"task_id": 2, "language": "Rust", "code": "c"},
        {"task_id": 1, "language": "rust", "code": "d"},
        {"task_id": 1, "language": "rust", "code": "again"},
        {"task_id": 3, "language": "go", "code": "alone"},
    ]
    corpus = read_parallel(write(tmp_path / "rows.jsonl", rows))
    assert corpus.texts == {"go": ("a", "b"), "rust": ("d", "c")}
    assert corpus.skipped == {"a second text of the same id and language": 1, "no text in rust": 1}


def test_empty_text_and_bytes_that_are_no_text_are_skipped_and_counted():
    rows = [{"a": "x", "b": "y"}, {"a": " ", "b": "y"}, {"a": "x", "b": "\udcff"}, {"a": "z", "b": "w"}]
    corpus = parallel_corpus("rows", rows, ("a", "b"))
    assert corpus.rows == 2
    assert corpus.skipped == {"no text in a": 1, "not UTF-8": 1}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"go": ("a", "b")}, "needs at least two languages and has go"),
        ({"go": ("a", "b"), "rust": ("c",)}, r"different length \(go 2, rust 1\)"),
        ({"go": ("a",), "rust": ("c",)}, "has 1 usable rows"),
        ({"go": ("a", "b"), "rust": ("c", " ")}, "no rust text in row 1"),
    ],
)
def test_what_is_no_parallel_corpus_is_refused(texts, message):
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus("rows", texts)


def test_a_language_that_is_not_there_is_refused(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"go": "a", "rust": "b"}, {"go": "c", "rust": "d"}])
    with pytest.raises(CorpusError, match="has no java; it has go, rust"):
        read_parallel(path, ("go", "Java"))
    twice = write(tmp_path / "twice.jsonl", [{"c#": "a", "csharp": "b"}])
    with pytest.raises(CorpusError, match="'c#' and in 'csharp'"):
        read_parallel(twice)


def test_distinct_rows_differ_and_repeat_nothing():
    corpus = ParallelCorpus("rows", {"a": ("x", "y", "x", "z", "w"), "b": ("x", "p", "q", "p", "r")})
    assert corpus.distinct_rows("a", "b") == [1, 2, 4]
    assert corpus.duplicates("a") == 1
    assert corpus.identical("a", "b") == 1
    assert corpus.first_rows(2).texts == {"a": ("x", "y"), "b": ("x", "p")}


def test_the_real_files_are_read():
    file = SHARED / "parallel-code/parallel.jsonl.gz"
    if not file.exists():
        pytest.skip("parallel-code is not in ../shared/data")
    corpus = read_parallel(file)
    assert (corpus.rows, corpus.languages) == (581, ("c", "csharp", "cpp", "java", "javascript", "php", "python"))
    counts = [corpus.identical("c", "cpp"), corpus.identical("csharp", "java"), corpus.identical("c", "java")]
    assert counts == [292, 217, 171]
    functions = read_parallel(SHARED / "mt-mbpp/parallel_functions.jsonl.gz")
    assert (functions.rows, len(functions.languages)) == (500, 17)
