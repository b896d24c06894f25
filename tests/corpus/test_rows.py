from pathlib import Path

import pytest
from rows_files import tiny_codes, write_rows

from codingspot.corpus.rows import file_rows, holds_rows, hub_revision, hub_rows
from codingspot.errors import CorpusError

ROWS = [tiny_codes("Rust", f"```rust\nfn f{number}() {{}}\n```", number) for number in range(30)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_local_files_give_their_rows_in_order_or_shuffled(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, ROWS)
    assert list(file_rows(path)) == ROWS
    first, again, other = (list(file_rows(path, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(row["idx"] for row in first) == list(range(30))
    assert first != ROWS


def test_shuffling_reaches_over_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codingspot.corpus.rows._SHUFFLE_BUFFER", 4)
    shuffled = [row["idx"] for row in file_rows(write_rows(tmp_path / "a.jsonl", ROWS), seed=0)]
    assert sorted(shuffled) == list(range(30))
    assert shuffled != list(range(30))
    assert max(shuffled[:5]) < 10


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_the_hubs_path_on_a_local_copy(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / "set" / name, ROWS)
    assert list(hub_rows(str(tmp_path / "set"))) == ROWS
    shuffled = list(hub_rows(str(tmp_path / "set"), seed=1))
    assert shuffled != ROWS
    assert sorted(row["idx"] for row in shuffled) == list(range(30))


def test_faults_of_a_hub_set_are_one_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "set" / "rows.jsonl", ROWS)
    with pytest.raises(CorpusError, match=r"set can't be read from the Hugging Face Hub \(.*split") as caught:
        list(hub_rows(str(tmp_path / "set"), split="validation"))
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise ConnectionError("Name or service\nnot known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(
        CorpusError, match=r"org/name can't be read .* \(Name or service not known\); check .*local file"
    ):
        hub_revision("org/name")


def test_faults_of_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with pytest.raises(CorpusError, match=r"x\.jsonl can't be read \(No such file"):
        list(file_rows(path))
    path.write_text('{"text": "a"}\n\n{"text": ')
    with pytest.raises(CorpusError, match="line 3 is not JSON"):
        list(file_rows(path))
    path.write_text('["a"]\n')
    with pytest.raises(CorpusError, match="line 1 is not a JSON object"):
        list(file_rows(path))
    for name in ("x.jsonl.gz", "x.parquet"):
        (tmp_path / name).write_bytes(b"not what it says")
        with pytest.raises(CorpusError, match=rf"{name} can't be read"):
            list(file_rows(tmp_path / name))
    (truncated := write_rows(tmp_path / "y.jsonl.gz", ROWS)).write_bytes(truncated.read_bytes()[:-20])
    with pytest.raises(CorpusError, match=r"y\.jsonl\.gz can't be read"):
        list(file_rows(truncated))


def test_bytes_that_are_not_utf8_come_as_surrogates(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "\xff"}\n')
    assert list(file_rows(tmp_path / "x.jsonl")) == [{"text": "\udcff"}]


def test_files_of_rows_are_known_by_their_ending() -> None:
    assert holds_rows(Path("a.b.jsonl.gz"))
    assert not holds_rows(Path("jsonl"))
