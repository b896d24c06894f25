"""Writing files so that nothing is ever half-written: a temporary sibling first, then a rename."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from codingspot.errors import ArtefactError
from codingspot.mirrors import mirror_of

LOCK = ".codingspot.lock"
"""Name of the lock of a directory that one process holds at a time."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors that say that no more can be written: of the device, a quota, or a limit of files."""

_SUFFIX = ".codingspot"
_TEMPORARY = re.compile(rf"\.(?P<name>.+)\.[a-z0-9_]{{8}}{re.escape(_SUFFIX)}")
_LOCK, _OLD = ".lock", ".old"
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_AGAIN = "delete it and make it again"
_DEPTH = 64
_VALUES = 10_000_000


@contextmanager
def atomic_path(path: Path, *, ready: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; it replaces ``path`` when the block ends without an error.

    The block may create a file or a directory there. On any error the temporary is removed and ``path`` is as
    it was. A directory that already stands at ``path`` is replaced whole: whether it may be is asked before
    (:mod:`codingspot.outputs`), and again by ``ready``, which is called right before the rename.

    Raises:
        OSError: with one of :data:`FULL` and the path where no space is left, whichever library was writing.
    """
    target = Path(os.path.realpath(path))  # a link stays one: what it leads to is replaced
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(target) as holder, room_for(path):
        temporary = holder / target.name
        yield temporary
        ready()
        _put(temporary, target, holder)
        mirror_of(target).written(target)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Name ``path`` where something that is written inside the block finds no space.

    Raises:
        OSError: with one of :data:`FULL` and the path, whichever library was writing.
    """
    try:
        yield
    except Exception as error:
        # safetensors and Arrow have error types of their own, and what is open says no name.
        for number in FULL:
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(path)) from error
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


def move(source: Path, target: Path) -> None:
    """Rename a file or folder that is this package's; what is at ``target``, its own too, goes."""
    if target.is_dir():
        remove(target)
    source.rename(target)
    mirror_of(target).moved(source, target)


def remove(path: Path) -> None:
    """Remove a file or folder that is this package's, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    mirror_of(path).removed(path)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that goes with the block; :func:`sweep` removes one that was left over.

    The lock in it tells one in use from one whose process was killed. An error about a file in it names ``target``.
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
    except OSError as error:
        if str(error.filename).startswith(str(holder)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
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


def json_value(value: Any) -> Any:
    """Plain data with None for every number that JSON can't hold: NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline, atomically. NaN and infinity are refused.

    Bytes of a file name that are not UTF-8 are written out, such as ``\\udce9``.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, _HALF_PAIR.sub(lambda half: f"\\\\u{ord(half[0]):x}", text))


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        ArtefactError: the file is missing, can't be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(f"{path} does not exist; run the stage that makes it, or correct the path") from None
    except OSError as error:
        raise ArtefactError(
            f"{path} can't be read or written ({error.strerror}); correct the path or its permissions"
        ) from None
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path} is truncated or corrupt ({error}); {_AGAIN}") from None


def parse_json(text: str, origin: str) -> Any:
    """The value of a JSON text whose every number is finite and every string can be written; ``origin`` names it.

    Raises:
        ArtefactError: the text is something else.
    """
    try:
        value = json.loads(text, parse_constant=_not_finite, parse_float=_finite)
        _check_depth(value)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can't be written again
    except (ValueError, RecursionError, MemoryError) as error:
        raise ArtefactError(f"{origin} is truncated or corrupt ({reason(error)}); {_AGAIN}") from None
    return value


def _check_depth(value: Any) -> None:
    """Make sure that lists and mappings can be gone through to their innermost values.

    Raises:
        ValueError: they are nested more than 64 deep, or hold more than ten million values.
    """
    left, level = _VALUES, [value]
    for _ in range(_DEPTH):
        level = [each for each in level if isinstance(each, dict | list)]
        left -= sum(map(len, level))
        if not level or left < 0:
            break
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    if level:
        raise ValueError(f"it is nested more than {_DEPTH} deep, or far too long")


def _not_finite(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _not_finite(digits[:24])


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ArtefactError: the file is missing or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def reason(error: BaseException) -> str:
    """What another library says went wrong, in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def digest(*parts: str | bytes) -> str:
    """Hexadecimal SHA-256 of length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()
