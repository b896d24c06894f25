"""JSON and YAML that is not what a model declares is refused in one line."""

from pathlib import Path

import pytest

from codingspot.errors import ArtefactError
from codingspot.files import read_json
from codingspot.records import Count, FileName, Plain, Record, read_model


class Example(Record):
    count: Count
    rate: float = 0.0
    file: FileName = "a"
    about: Plain = {}  # noqa: RUF012 - pydantic copies it


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"count": "1"}',
        '{"count": 1.5}',
        '{"count": true}',
        '{"count": -1}',
        '{"count": ' + "9" * 30 + "}",
        '{"count": ' + "9" * 5000 + "}",
        '{"count": 1, "rate": NaN}',
        '{"count": 1, "rate": 1e999}',
        '{"count": 1, "rate": "0.5"}',
        '{"count": 1, "file": "../a"}',
        '{"count": 1, "file": "/etc/passwd"}',
        '{"count": 1, "file": ".."}',
        '{"count": 1, "about": []}',
        '{"count": 1, "about": {"a": NaN}}',
        '{"count": 1, "about": {"a": "\\ud800"}}',
        '{"count": 1, "other": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"count": 1, "other": ' + "[" * 100 + "]" * 100 + "}",
    ],
)
def test_what_is_not_declared_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ArtefactError, match=r"a\.json is") as caught:
        read_model(file, Example)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_record_with_a_key_of_another_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"count": 1, "rate": 1, "marker": "x", "about": {"é": ["\\ud83d\\ude00"]}}')
    found = read_model(tmp_path / "a.json", Example)
    assert (found.count, found.rate, found.about) == (1, 1.0, {"é": ["😀"]})


def test_a_folder_or_bytes_are_no_json(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="can't be read or written"):
        read_json(tmp_path)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ArtefactError, match=r"a\.json is truncated or corrupt"):
        read_json(tmp_path / "a.json")
