"""Writing files so that nothing is ever half-written: a temporary sibling first, then a rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from codingspot.errors import ArtefactError

LOCK = ".codingspot.lock"
"""Name of the lock of a directory that one process holds at a time."""

_SUFFIX = ".codingspot"
_TEMPORARY = re.compile(rf"\.(?P<name>.+)\.[a-z0-9_]{{8}}{re.escape(_SUFFIX)}")
_LOCK, _OLD = ".lock", ".old"


@contextmanager
def atomic_path(path: Path, *, ready: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; it replaces ``path`` when the block ends without an error.

    The block may create a file or a directory there. On any error the temporary is removed and ``path`` is as
    it was. A directory that already stands at ``path`` is replaced whole: whether it may be is asked before
    (:mod:`codingspot.outputs`), and again by ``ready``, which is called right before the rename.

    Raises:
        OSError: with ``errno.ENOSPC`` and the path where no space is left, whichever library was writing.
    """
    target = Path(os.path.realpath(path))  # a link stays one: what it leads to is replaced
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(target) as holder:
        temporary = holder / target.name
        try:
            yield temporary
            ready()
            _put(temporary, target, holder)
        except Exception as error:
            # safetensors and Arrow have error types of their own.
            if os.strerror(errno.ENOSPC) in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            raise


def _put(temporary: Path, target: Path, holder: Path) -> None:
    if not (target.is_dir() and temporary.is_dir()):
        temporary.replace(target)
        return
    old = holder / f"{target.name}{_OLD}"
    try:
        target.rename(old)
        temporary.rename(target)
    finally:
        _restore(old, target)


def _restore(old: Path, target: Path) -> None:
    """Put back what was moved away, where nothing took its place."""
    if old.exists() and not target.exists():
        old.rename(target)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that goes with the block; :func:`sweep` removes one that was left over.

    The lock in it tells one in use from one whose process was killed.
    """
    while True:
        try:
            holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent))
        except OSError as error:  # names what the user asked for
            raise OSError(error.errno, error.strerror, str(target)) from None
        lock = FileLock(holder / f"{target.name}{_LOCK}")
        try:
            lock.acquire(blocking=False)
            break
        except (Timeout, FileNotFoundError):  # swept in the moment before it was locked
            continue
    try:
        yield holder
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        lock.release()


def is_temporary(path: Path) -> bool:
    """Whether ``path`` has a name that only :func:`temporary_beside` gives."""
    return _TEMPORARY.fullmatch(path.name) is not None


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of :func:`temporary_beside`: of the target ``name`` in ``folder``, or of all
    targets in ``folder`` and below. What it had moved away to be replaced, and didn't replace, is put back."""
    if name is not None:
        found = [each for each in folder.glob(f".*{_SUFFIX}") if _target_name(each) == name]
    else:
        found = [Path(at, each) for at, folders, _ in os.walk(folder) for each in folders if is_temporary(Path(each))]
    for holder in found:
        # In use, swept by another, or somebody else's.
        with suppress(OSError), FileLock(holder / f"{_target_name(holder)}{_LOCK}", blocking=False):
            target = holder.parent / _target_name(holder)
            _restore(holder / f"{target.name}{_OLD}", target)
            shutil.rmtree(holder, ignore_errors=True)


def _target_name(holder: Path) -> str:
    matched = _TEMPORARY.fullmatch(holder.name)
    return matched["name"] if matched else ""


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline, atomically. NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ArtefactError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist; run the stage that makes it, or correct the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} is truncated or corrupt ({error}); delete it and make it again") from None


def digest(*parts: str | bytes) -> str:
    """Hexadecimal SHA-256 of length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()
