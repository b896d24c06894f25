"""Files appear whole or not at all."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from codingspot.errors import ArtefactError
from codingspot.files import atomic_path, digest, read_json, write_json


def write_half(target: Path, error: Exception) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path):
    target = tmp_path / "a.json"
    write_json(target, {"kept": 1})
    with pytest.raises(RuntimeError):
        write_half(target, RuntimeError())
    assert read_json(target) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path: Path):
    for name in ("old", "new"):
        with atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_no_space_left_is_one_error_whichever_library_writes(tmp_path: Path):
    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(OSError) as caught:
        write_half(tmp_path / "x", error)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_nan_is_not_json(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_named(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"a":')
    with pytest.raises(ArtefactError, match=r"a\.json is truncated or corrupt"):
        read_json(tmp_path / "a.json")


def test_digest_separates_its_parts():
    assert digest("ab", "c") != digest("a", "bc")
