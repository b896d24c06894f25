"""Files appear whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from codingspot.errors import ArtefactError
from codingspot.files import atomic_path, digest, is_temporary, read_json, sweep, temporary_beside, write_json
from codingspot.outputs import new_folder


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("library", [True, False])
def test_no_space_left_is_one_error_whichever_library_writes(tmp_path: Path, number: int, library: bool):
    said = f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})"
    error = (
        SafetensorError(said) if library else OSError(number, os.strerror(number))
    )  # of an open file: without a name
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        write_half(tmp_path / "x", error)
    assert caught.value.errno == number
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


WRITER = """
import sys, time
from pathlib import Path
from codingspot.outputs import new_folder

with new_folder(Path(sys.argv[1]), "codingspot-test") as temporary:
    (temporary / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_with_the_next_write_and_a_live_ones_stays(tmp_path: Path):
    users = tmp_path / ".out.notes"
    users.mkdir()
    command = [sys.executable, "-c", WRITER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        (left,) = (path for path in tmp_path.iterdir() if is_temporary(path))
        sweep(tmp_path, "out")
        assert (left / "out" / "half").exists()
        writer.send_signal(signal.SIGKILL)
    sweep(tmp_path, "other")
    assert left.exists()
    with new_folder(tmp_path / "out", "codingspot-test") as temporary:
        (temporary / "whole").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.notes"}


def test_what_was_moved_away_and_not_replaced_is_put_back(tmp_path: Path):
    target = tmp_path / "out"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "old").touch()

    def killed() -> None:
        with temporary_beside(target) as holder:
            target.rename(holder / "out.old")
            holder.rename(tmp_path / "kept")  # as if nothing had been cleaned up
        (tmp_path / "kept").rename(holder)

    killed()
    assert not target.exists()
    sweep(tmp_path, "out")
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_between_the_two_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "out"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "old").touch()
    rename = Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path.name == "out" and path != target:
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
        temporary.mkdir()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]
