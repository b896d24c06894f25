"""Where output may go: nothing is replaced but what this package wrote, and only where that is asked for.

A folder that is written whole says so in its ``manifest.json``: ``format`` (``codingspot-...``) and the files it holds.
With anything else in it, it is never replaced. Directories in which commands resume: :mod:`codingspot.directories`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydantic import BaseModel, Field

from codingspot.errors import ArtefactError, OutputError
from codingspot.files import LOCK, atomic_path, is_temporary, sweep, write_json
from codingspot.records import Record, RelativeFile, read_model

MANIFEST = "manifest.json"
PREFIX = "codingspot-"
"""How the format of every manifest begins."""

Place = str | Path | None
"""An input as a user gives it: a path, a pattern, or a name that is neither."""


def check_inputs(path: Path, inputs: Iterable[Place]) -> None:
    """Make sure that ``path`` is not, does not contain and does not lie within one of ``inputs``.

    Raises:
        OutputError: it does; the message names the input.
    """
    target = Path(os.path.realpath(path))
    for given in inputs:
        for source in map(Path, map(os.path.realpath, _matching(given))):
            words = "lies within" if source in target.parents else "contains" if target in source.parents else "is"
            if words != "is" or source == target:
                raise OutputError(f"{path} {words} the input {given}; choose another folder or file for the output")


def _matching(given: Place) -> Iterator[str]:
    if given and Path(given).exists():
        yield str(given)
    elif given:
        yield from glob.iglob(str(given), recursive=True)  # noqa: PTH207 - it may be absolute


def check_folder(path: Path, *, inputs: Iterable[Place] = (), force: bool = False) -> None:
    """Make sure that a folder may be written whole to ``path``: nothing is there; or, with ``force``, what this
    package wrote and nothing else.

    Raises:
        OutputError: it may not, or ``path`` overlaps one of ``inputs``.
    """
    check_inputs(path, inputs)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; choose a folder")
    if path.exists() and path.samefile("."):
        raise OutputError(f"{path} is the folder that the command runs in, and would be replaced; choose another one")
    found = next(contents(path), None)
    if found is None:
        return
    manifest = own_manifest(path)
    if manifest is None:
        raise OutputError(f"{path} is not empty and codingspot did not write it (it holds {found}); choose another one")
    listed = manifest.listed
    if not listed:
        raise OutputError(f"{path} holds a run, which is never replaced; choose another folder")
    for each in contents(path):
        if each not in listed and each != MANIFEST:
            raise OutputError(f"{path} holds {each}, which codingspot did not write; move it or choose another folder")
    if not force:
        raise OutputError(f"{path} exists already; choose another folder, or replace it with --force")


@contextmanager
def new_folder(path: Path, kind: str, *, inputs: Iterable[Place] = (), force: bool = False) -> Iterator[Path]:
    """Yield an empty folder that stands at ``path``, with a manifest of that ``kind``, when the block has ended well.

    The block may write the manifest itself, to say more in it.

    Raises:
        OutputError: as :func:`check_folder`, before the block and again after it.
    """
    check = partial(check_folder, path, inputs=tuple(inputs), force=force)
    check()
    _sweep_beside(path)
    with atomic_path(path, ready=check) as temporary:
        temporary.mkdir()
        yield temporary
        if not (temporary / MANIFEST).exists():
            write_manifest(temporary, kind, contents(temporary))


def check_file(
    path: Path, is_own: Callable[[Path], bool], *, inputs: Iterable[Place] = (), force: bool = False
) -> None:
    """Make sure that a file may be written to ``path``: nothing is there; or, with ``force``, one that ``is_own``.

    Raises:
        OutputError: it may not, or ``path`` overlaps one of ``inputs``.
    """
    check_inputs(path, inputs)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; choose a file")
    if not path.exists():
        return
    if not is_own(path):
        raise OutputError(f"{path} is not a file that codingspot wrote here; choose another one")
    if not force:
        raise OutputError(f"{path} exists already; choose another file, or replace it with --force")


@contextmanager
def new_file(
    path: Path, is_own: Callable[[Path], bool], *, inputs: Iterable[Place] = (), force: bool = False
) -> Iterator[Path]:
    """Yield where to write a file that stands at ``path`` when the block has ended well.

    Raises:
        OutputError: as :func:`check_file`, before the block and again after it.
    """
    check = partial(check_file, path, is_own, inputs=tuple(inputs), force=force)
    check()
    _sweep_beside(path)
    with atomic_path(path, ready=check) as temporary:
        yield temporary


def holds_model(model: type[BaseModel], path: Path) -> bool:
    """Whether the file is JSON of that pydantic model, with nothing converted."""
    try:
        read_model(path, model)
    except ArtefactError:
        return False
    return True


def write_model(path: Path, value: BaseModel, *, force: bool = False) -> None:
    """Write ``value`` as JSON; ``force`` replaces a file of the same model.

    Raises:
        OutputError: as :func:`check_file`.
    """
    with new_file(path, partial(holds_model, type(value)), force=force) as temporary:
        write_json(temporary, value.model_dump(mode="json"))


def _sweep_beside(path: Path) -> None:
    target = Path(os.path.realpath(path))
    sweep(target.parent, target.name)


def contents(folder: Path) -> Iterator[str]:
    """What is in ``folder``, by relative path: files, and folders with nothing in them; the package's litter aside."""
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not is_temporary(Path(each)))
        here = Path(at)
        links = [each for each in folders if (here / each).is_symlink()]
        if here != folder and not folders and not files:
            yield here.relative_to(folder).as_posix()
        for each in sorted([*files, *links]):
            if each != LOCK or here != folder:
                yield (here / each).relative_to(folder).as_posix()


class _Domain(Record):
    files: tuple[RelativeFile, ...] = ()
    file: RelativeFile | None = None


class Manifest(Record):
    """What every manifest of this package says: ``format``, and the folder's files, itself or domain by domain."""

    format: str = Field(pattern=f"^{PREFIX}")
    files: tuple[RelativeFile, ...] = ()
    domains: tuple[_Domain, ...] = ()

    @property
    def listed(self) -> set[str]:
        """The files that are named, by path relative to the folder; none of them leads out of it."""
        named = {file for domain in self.domains for file in (*domain.files, domain.file) if file is not None}
        return named | set(self.files)


def own_manifest(folder: Path) -> Manifest | None:
    """The manifest of ``folder`` if this package wrote it; one that is not just so was written by somebody else."""
    try:
        return read_model(folder / MANIFEST, Manifest)
    except ArtefactError:
        return None


def write_manifest(folder: Path, kind: str, files: Iterable[str]) -> None:
    """Write the manifest of a folder with these files."""
    write_json(folder / MANIFEST, {"format": kind, "files": sorted(files)})
