"""Run directories, stores and spots on object storage, or another machine's file system, by their URL.

All work is done in a local folder, named by the URL, that is made to equal what is there and whose changes go there:

1. When it is opened, what the URL has and the folder lacks, or has otherwise, is fetched; what the URL doesn't have is
   removed from the folder. The scores of a store are fetched domain by domain, when they are first read.
2. Each change is made here first, whole or not at all, and then there, in the same order. So what is there is always
   what once was here, and a run goes on from it on any machine.
3. A file is put there whole or not at all. A folder is put there file by file, its manifest last, while a *mark* in it
   says that it isn't whole; a folder that has one is passed over when it is read, and written again by the next run.

Nothing is removed there but what this package put there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from codingspot.errors import ArtefactError, OutputError
from codingspot.files import LOCK, is_temporary, parse_json, temporary_beside, write_text
from codingspot.mirrors import Mirror, attach, attached, detach
from codingspot.outputs import MANIFEST, contents, own_manifest
from codingspot.storage import Storage, is_url

CACHE: Final = "CODINGSPOT_CACHE"
"""Environment variable: the folder that holds the local folders of URLs; by default ``~/.cache/codingspot``."""

_ONE_SLASH: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:)/([^/].*)", re.DOTALL)
_MARK: Final = ".codingspot-unfinished"
_MARK_BYTES: Final = 1 << 24
_FETCHES: Final = 16

_State = tuple[str, int, int, int]
"""Of a file that is the same here and there: what tells its version there; inode, bytes and time of change here."""
_NOWHERE: Final[_State] = ("", -1, -1, -1)


def local_path(place: str | Path) -> Path:
    """Where to work on what is at ``place``: a path is its own; of a URL, the local folder or file that mirrors it.

    Raises:
        CodingSpotError: the URL's scheme is unknown or needs a package, what is there can't be read, is in use by
            another process, or isn't this package's.
    """
    if not is_url(str(place)):
        if meant := _ONE_SLASH.fullmatch(str(place)):
            raise OutputError(f"{place} has one slash; write {meant[1]}//{meant[2]}, or ./{place} for a folder here")
        return Path(place)
    url = str(place).rstrip("/")
    if not is_url(url):
        raise OutputError(f"{place} names no folder; write which")
    if ".." in url.split("/"):
        raise OutputError(f"{url} has '..' in it; write where it leads")
    for folder, other in attached().items():
        if isinstance(other, _Remote) and f"{url}/".startswith(f"{other.url}/"):
            other.refresh()
            return folder / url.removeprefix(other.url).strip("/")
        if other.url.startswith(f"{url}/"):
            raise OutputError(f"{url} contains {other.url}; choose another folder or file for the output")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OutputError(f"{url} can't be shared by torchrun's processes; give a folder that all of them see")
    mirror = _Remote(Storage(url))
    try:
        mirror.refresh()
    except BaseException:
        mirror.close()
        raise
    attach(mirror.local, mirror)
    return mirror.local


def close(place: Path) -> None:
    """Let what :func:`local_path` gave be a folder like any other, whose changes stay here."""
    mirror = attached().get(place)
    if isinstance(mirror, _Remote):
        mirror.close()


class _Remote(Mirror):
    """A local folder, or file, and what is at a URL."""

    def __init__(self, storage: Storage) -> None:
        self.url, self._storage = storage.url, storage
        home = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "codingspot")
        self._home = Path(os.path.realpath(home)) / hashlib.sha256(storage.place.encode()).hexdigest()[:16]
        self.local = self._home / "at" / storage.name
        self._states: dict[str, _State] = {}
        self._there: dict[str, int] = {}  # bytes of every file there that counts
        self._awaited: dict[str, str] = {}
        self._unfinished: dict[str, list[str]] = {}
        self.local.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(self._home / LOCK)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise OutputError(f"{self.url} is in use by another codingspot command; wait until it ends") from None

    def close(self) -> None:
        """Hear no more of the folder."""
        detach(self.local)
        self._lock.release()

    def refresh(self) -> None:
        """Make the local folder equal what is there."""
        found = self._listing()
        self._there = {name: size for name, (_, size) in found.items()}
        self._remove_but(found)
        known, self._states, self._awaited = self._recorded(), {}, {}
        for name, (version, _) in found.items():
            if name in known and known[name] == (version, *_stat(self._path(name))):
                self._states[name] = known[name]
        lacking = {name: version for name, (version, _) in found.items() if name not in self._states}
        if MANIFEST in lacking:
            self._fetch({MANIFEST: lacking.pop(MANIFEST)})
        if found and "" not in found and own_manifest(self.local) is None:
            raise OutputError(
                f"{self.url} is not empty and codingspot did not write it (it holds {min(found)}); choose another one"
            )
        manifests = [name for name in found if Path(name).name == MANIFEST]
        self._fetch({name: lacking.pop(name) for name in manifests if name in lacking})
        self._awaited = {name: lacking.pop(name) for name in self._scores(manifests) if name in lacking}
        self._fetch(lacking)
        lines = [json.dumps([name, *state]) + "\n" for name, state in self._states.items()]
        write_text(self._record, "".join(lines))

    def written(self, path: Path) -> None:
        """Put a file or folder there."""
        name = self._name(path)
        if any(is_temporary(Path(part)) for part in name.split("/")):
            return
        self._clean()
        if not path.is_dir():
            self._put(name)
            return
        files = [_joined(name, each) for each in contents(path) if (path / each).is_file()]
        stale = [each for each in self._under(name) if each not in files]
        with self._marked(name, [*files, *stale]):
            for each in sorted(files, key=lambda each: (Path(each).name == MANIFEST, each)):
                self._put(each)
            for each in stale:
                self._drop(each)

    def moved(self, source: Path, target: Path) -> None:
        """Copy a file or folder there, and then remove what is at its old place."""
        self._clean()
        old, new = self._name(source), self._name(target)
        names = [new + each.removeprefix(old) for each in self._under(old)]
        with self._marked(new, names) if target.is_dir() else nullcontext():
            for each in names:
                self._put(each)
        self.removed(source)

    def removed(self, path: Path) -> None:
        """Remove there what is this package's."""
        self._clean()
        name = self._name(path)
        names = self._under(name)
        with nullcontext() if names in ([], [name]) else self._marked(name, names):
            for each in names:
                self._drop(each)

    def is_awaited(self, path: Path) -> bool:
        """Whether a file of scores was not fetched yet."""
        return self._name(path) in self._awaited

    def present(self, path: Path) -> None:
        """Fetch a file of scores that was not fetched yet."""
        name = self._name(path)
        if name in self._awaited:
            self._fetch({name: self._awaited[name]})
            del self._awaited[name]

    def _listing(self) -> dict[str, tuple[str, int]]:
        """Version and bytes of every file there that counts, by its name relative to the URL."""
        found = self._storage.files()
        marks = [name for name in found if Path(name).name == _MARK]
        self._unfinished = {_folder(mark): self._marked_names(mark, found[mark][1]) for mark in marks}
        return {
            name: about
            for name, about in found.items()
            if not any(_within(name, folder) for folder in self._unfinished) and not _is_litter(name)
        }

    def _marked_names(self, mark: str, size: int) -> list[str]:
        """The files that a mark names: this package's, in the mark's folder."""
        if size > _MARK_BYTES:
            raise ArtefactError(f"{self.url}/{mark} was not written by codingspot; remove it there")
        named = parse_json(self._storage.read(mark).decode(errors="replace"), f"{self.url}/{mark}")
        found = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
        return [each for each in found if _within(each, _folder(mark)) and ".." not in each.split("/")]

    def _remove_but(self, found: Container[str]) -> None:
        """Remove what is here and not there, and folders that are empty then."""
        if self.local.is_dir() == ("" in found):
            _remove(self.local)
        for at, _, files in os.walk(self.local, topdown=False):
            for path in (Path(at, each) for each in files):
                if self._name(path) not in found and path != self.local / LOCK:
                    path.unlink()
            with suppress(OSError):  # not empty
                Path(at).rmdir()

    def _scores(self, manifests: Iterable[str]) -> list[str]:
        """The files that the manifests of stores name."""
        found = []
        for name in manifests:
            manifest = own_manifest(self._path(name).parent)
            for domain in () if manifest is None else manifest.domains:
                found += [_joined(_folder(name), file) for file in domain.files]
        return found

    def _fetch(self, wanted: Mapping[str, str]) -> None:
        """Bring files here, each whole or not at all."""

        def fetch(name: str) -> None:
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_beside(path) as holder:
                self._storage.get(name, holder / path.name)
                if (holder / path.name).stat().st_size != self._there[name]:
                    raise ArtefactError(f"{self.url}/{name} changed while it was read; run again")
                (holder / path.name).replace(path)

        with ThreadPoolExecutor(_FETCHES) as pool:
            for name, _ in zip(wanted, pool.map(fetch, wanted), strict=True):
                self._note(name, (wanted[name], *_stat(self._path(name))))

    def _put(self, name: str) -> None:
        """Put a file there, unless it is; one that is there by another name is copied from that."""
        stat = _stat(self._path(name))
        if name in self._states and self._states[name][1:] == stat:
            return
        twin = next((each for each, state in self._states.items() if state[1:] == stat), None)
        if twin is None:
            self._storage.put(self._path(name), name)
        else:
            self._storage.copy(twin, name)
        self._there[name] = stat[1]
        self._awaited.pop(name, None)
        self._note(name, (self._storage.version(name), *stat))

    def _drop(self, name: str) -> None:
        self._storage.remove(name)
        del self._there[name]
        self._awaited.pop(name, None)
        self._note(name, None)

    @contextmanager
    def _marked(self, folder: str, names: Iterable[str]) -> Iterator[None]:
        """Let the folder, in which these are this package's, be passed over until the block has ended well."""
        mark = _joined(folder, _MARK)
        self._storage.write(mark, json.dumps(list(names)).encode())
        yield
        self._storage.remove(mark)

    def _clean(self) -> None:
        """Remove there what writers that were stopped left unfinished."""
        while self._unfinished:
            folder, names = self._unfinished.popitem()
            for name in (*names, _joined(folder, _MARK)):
                self._storage.remove(name)

    @property
    def _record(self) -> Path:
        return self._home / "record.jsonl"

    def _recorded(self) -> dict[str, _State]:
        """What was the same here and there, by earlier commands; a line that was cut is passed over."""
        found: dict[str, _State] = {}
        for line in self._record.read_text(encoding="utf-8").splitlines() if self._record.exists() else ():
            with suppress(ValueError):
                name, *state = json.loads(line)
                found[name] = (state[0], state[1], state[2], state[3]) if state else _NOWHERE
        return found

    def _note(self, name: str, state: _State | None) -> None:
        """Keep that a file is the same here and there, or in neither place."""
        if state is None:
            self._states.pop(name, None)
        else:
            self._states[name] = state
        with self._record.open("a", encoding="utf-8") as record:
            record.write(json.dumps([name, *(state or ())]) + "\n")

    def _name(self, path: Path) -> str:
        """The name of what is at ``path`` there, relative to the URL; empty for the URL itself."""
        name = (Path(os.path.realpath(path.parent)) / path.name).relative_to(self.local).as_posix()
        return "" if name == "." else name

    def _path(self, name: str) -> Path:
        return self.local / name if name else self.local

    def _under(self, name: str) -> list[str]:
        """The files there that ``name`` is or holds."""
        return [each for each in self._there if _within(each, name)]


def _stat(path: Path) -> tuple[int, int, int]:
    if not path.is_file():
        return _NOWHERE[1:]
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _within(name: str, folder: str) -> bool:
    """Whether ``name`` is, or lies in, ``folder``."""
    return not folder or name == folder or name.startswith(f"{folder}/")


def _is_litter(name: str) -> bool:
    """Whether it is what a command that was killed left behind, or holds while it runs."""
    parts = name.split("/")
    return name == LOCK or any(is_temporary(Path(part)) for part in parts)
