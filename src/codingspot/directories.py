"""Directories in which commands resume: a run's, a benchmark's, a training's.

Such a directory has a ``manifest.json`` whose ``format`` says of which kind it is, and is held by one process at a
time. It is never replaced; what is written in it, by the names of its layout, is this package's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from pydantic import ConfigDict, Field

from codingspot.errors import OutputError
from codingspot.files import LOCK, remove, sweep, temporary_beside, write_json
from codingspot.mirrors import mirror_of
from codingspot.outputs import (
    MANIFEST,
    PREFIX,
    Place,
    check_inputs,
    contents,
    holds_model,
    own_manifest,
    write_manifest,
)
from codingspot.records import FileName, Plain, Record

RUN = "codingspot-run"
"""Format of the directory of a study, or of views."""

_SCRATCH = "scratch"


@contextmanager
def renewed_folder(path: Path, kind: str) -> Iterator[Path]:
    """Yield an empty folder whose files take the place, in ``path``, of those that were written there like this before.

    Files that were not stay where they are. For a directory that is :func:`held`, and parts of it.

    Raises:
        OutputError: ``path`` has a manifest of something else, or a file that would be replaced is not listed in it.
    """
    path.mkdir(parents=True, exist_ok=True)
    manifest = own_manifest(path)
    if manifest is None and os.path.lexists(path / MANIFEST):
        raise OutputError(f"{path / MANIFEST} was not written by codingspot; move it away")
    before = set() if manifest is None else manifest.listed
    with temporary_beside(path / MANIFEST) as holder:
        new = holder / path.name
        new.mkdir()
        yield new
        made = set(contents(new))
        for each in sorted(made | before):
            if (path / each).is_dir() or (each not in before and os.path.lexists(path / each)):
                raise OutputError(f"{path / each} was not written by codingspot; move it away")
        write_manifest(path, kind, before | made)  # both, so that a process that is killed here leaves nobody's files
        for each in made:
            (new / each).replace(path / each)
            mirror_of(path).written(path / each)
        for each in before - made:
            remove(path / each)
        write_manifest(path, kind, made)


class _Strict(Record):
    model_config = ConfigDict(extra="forbid")


_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Inputs(_Strict):
    """``inputs.json`` of a run."""

    weights: _Digest
    corpus: _Digest
    evaluation_corpus: _Digest | None = None
    evaluation_items: _Digest | None = None


class _Analysis(_Strict):
    """The record of an analysis."""

    inputs: Plain
    tables: tuple[FileName, ...]
    versions: dict[str, str]


def _unmarked_run(path: Path) -> bool:
    """Whether ``path`` is a run made before runs had a manifest."""
    if (path / "study.yaml").is_file():
        began = (path / "plan.json").is_file() or own_manifest(path / "scores") is not None
        return began and holds_model(_Inputs, path / "inputs.json")
    return any(holds_model(_Analysis, file) for file in (path / "analysis").glob("*.json"))


def check_directory(path: Path, kind: str = RUN, *, unmarked: Callable[[Path], bool] = _unmarked_run) -> None:
    """Make sure that ``path`` is missing, empty, or a directory of ``kind``, in which its command resumes.

    ``unmarked`` tells one that was made before such directories had a manifest.

    Raises:
        OutputError: it is something else, or a link in it leads out of it, through which files would be written there.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file and not a run directory; choose another one")
    found = next(contents(path), None)
    if found is not None and not _is_of(path, kind, unmarked):
        raise OutputError(
            f"{path} is not empty and not a run directory of this command (it holds {found}); choose another one"
        )
    directory = Path(os.path.realpath(path))
    for each in contents(path):
        target = Path(os.path.realpath(directory / each))
        if (directory / each).is_symlink() and directory not in target.parents:
            raise OutputError(f"{path / each} is a link to {target}, where nothing is written; move it away")


def _is_of(path: Path, kind: str, unmarked: Callable[[Path], bool]) -> bool:
    manifest = own_manifest(path)
    return manifest.format == kind if manifest else not os.path.lexists(path / MANIFEST) and unmarked(path)


@contextmanager
def held(
    path: Path,
    kind: str = RUN,
    *,
    inputs: Iterable[Place] = (),
    unmarked: Callable[[Path], bool] = _unmarked_run,
) -> Iterator[None]:
    """Hold the directory ``path``, made if need be, so that no other process writes there; it may be held already.

    What killed processes left there is swept first. A directory in which the block leaves nothing is removed again.

    Raises:
        OutputError: another process holds it, it is neither empty nor of ``kind`` (:func:`check_directory`), or it
            overlaps one of ``inputs``.
    """
    check_inputs(path, inputs)
    check_directory(path, kind, unmarked=unmarked)
    directory = Path(os.path.realpath(path))
    lock = FileLock(directory / LOCK, is_singleton=True)
    if lock.is_locked:
        yield
        return
    made = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise OutputError(
            f"{path} is in use by another codingspot command; wait until it ends, or choose another one"
        ) from None
    try:
        sweep(directory)
        if not (directory / MANIFEST).exists():
            write_json(directory / MANIFEST, {"format": kind})
        yield
    finally:
        if all(each == MANIFEST for each in contents(directory)):
            remove(directory / MANIFEST)
        (directory / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # not empty
            for each in made:
                each.rmdir()


def partial_path(target: Path) -> Path:
    """``TARGET.partial``, beside what ``target`` is or leads to."""
    return Path(f"{os.path.realpath(target)}.partial")


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Hold :func:`partial_path`, for what is finished of ``target`` if it is stopped; it goes when it is empty.

    Raises:
        OutputError: another process holds it, or it is a link or anything else that this function did not leave.
    """
    folder, kind = partial_path(target), f"{PREFIX}partial"
    try:
        check_directory(folder, kind, unmarked=lambda _: False)
        ours = not folder.is_symlink()
    except OutputError:
        ours = False
    if not ours:
        raise OutputError(
            f"{folder}, where what is finished of {target} is kept, is not codingspot's; move it away, or choose "
            f"another folder than {target}"
        )
    try:
        with held(folder, kind, unmarked=lambda _: False):
            yield folder
    finally:
        with suppress(OSError):  # not empty
            folder.rmdir()


def scratch_folder(directory: Path, name: str) -> Path:
    """The folder ``scratch/NAME`` of a directory that is :func:`held`, made if need be; all in it is this package's.

    Raises:
        OutputError: there is one that this package did not make.
    """
    folder = directory / _SCRATCH / name
    check_directory(folder, f"{PREFIX}{_SCRATCH}", unmarked=lambda _: False)
    if not (folder / MANIFEST).exists():
        write_json(folder / MANIFEST, {"format": f"{PREFIX}{_SCRATCH}"})
    return folder


def discard_scratch(folder: Path) -> None:
    """Remove a :func:`scratch_folder`."""
    remove(folder)
    with suppress(OSError):  # not empty
        folder.parent.rmdir()
