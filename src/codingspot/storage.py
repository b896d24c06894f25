"""Files at a URL: on object storage or in a file system, through fsspec.

A file is there whole or not at all: object storage shows none before it is whole, and in a file system it gets its name
when it is.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from codingspot.errors import ArtefactError, CodingSpotError, MissingPackageError, OutputError
from codingspot.files import reason

SCHEMES: Final[Mapping[str, str | None]] = {"file": None, "gs": "gcsfs", "memory": None, "s3": "s3fs"}
"""Schemes of URLs, and the package that each needs."""

_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://.*", re.DOTALL)
_PART: Final = ".codingspot-part"
_VERSIONS: Final = ("ETag", "etag", "mtime", "created")


def is_url(place: str) -> bool:
    """Whether ``place`` is a URL, and no path."""
    return _URL.fullmatch(place) is not None


class Storage:
    """The files at a URL, by their names relative to it; of a URL that is one file the name is empty.

    Raises:
        OutputError: the scheme is unknown; and, of every method, something can't be read or written there.
        MissingPackageError: the scheme's package isn't installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        scheme = url.partition("://")[0].lower()
        if scheme not in SCHEMES:
            known = ", ".join(f"{each}://" for each in SCHEMES)
            raise OutputError(f"{url} is no URL that codingspot can use; give a path, or one of {known}")
        from fsspec.core import url_to_fs

        try:
            with self._at_work("opened"):
                self._fs, root = url_to_fs(url)
        except ImportError:
            package = SCHEMES[scheme]
            raise MissingPackageError(
                f"{url} needs the package {package}; pip install {package}", name=package
            ) from None
        self._root = str(root).rstrip("/")
        self.name = self._root.rpartition("/")[2]
        if not self.name:
            raise OutputError(f"{url} names no folder; give one, such as {scheme}://place/run")
        self.place = f"{scheme}:{self._root}"
        self._renames = scheme == "file"

    def files(self) -> dict[str, tuple[str, int]]:
        """Version and bytes of every file that is there.

        Raises:
            ArtefactError: a file there has a name that none can have here.
        """
        found: dict[str, tuple[str, int]] = {}
        with self._at_work("read"):
            self._fs.invalidate_cache()
            for path, told in self._fs.find(self._root, detail=True).items():
                about = told or self._fs.info(path)  # of a URL that is a file some say nothing
                name = path.removeprefix(self._root).removeprefix("/")
                if about["type"] == "file" and not path.endswith("/") and not name.endswith(_PART):
                    found[name] = _version(about), int(about["size"] or 0)
        if len(found) > 1:
            found.pop("", None)  # object storage may have a file and a folder of one name
        for name in found:
            if name and ({"", ".", ".."} & set(name.split("/")) or "\0" in name):
                raise ArtefactError(f"{self.url} holds {name!r}, which can't be a file's name; remove it there")
        return found

    def version(self, name: str) -> str:
        """What tells a file that is there from what was there by its name before."""
        with self._at_work("read"):
            return _version(self._fs.info(self._at(name)))

    def read(self, name: str) -> bytes:
        """The content of a small file."""
        with self._at_work("read"):
            return bytes(self._fs.cat_file(self._at(name)))

    def get(self, name: str, path: Path) -> None:
        """Fetch a file to ``path``."""
        with self._at_work("read"):
            self._fs.get_file(self._at(name), str(path))

    def put(self, path: Path, name: str) -> None:
        """Put the file ``path`` there."""
        self._whole(name, partial(self._fs.put_file, str(path)))

    def write(self, name: str, content: bytes) -> None:
        """Put a small file there."""
        self._whole(name, lambda at: self._fs.pipe_file(at, content))

    def copy(self, source: str, target: str) -> None:
        """Copy a file from one name to another."""
        self._whole(target, partial(self._fs.cp_file, self._at(source)))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._at_work("written"):
            if self._fs.exists(self._at(name)):
                self._fs.rm_file(self._at(name))

    def _whole(self, name: str, put: Callable[[str], None]) -> None:
        at = self._at(name)
        with self._at_work("written"):
            if not self._renames:
                put(at)
                return
            folder, _, last = at.rpartition("/")
            self._fs.makedirs(folder, exist_ok=True)
            put(f"{folder}/.{last}{_PART}")
            self._fs.mv(f"{folder}/.{last}{_PART}", at)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _at_work(self, done: str) -> Iterator[None]:
        """Say in one line what a file system says in errors of its own, whichever they are."""
        try:
            yield
        except (CodingSpotError, ImportError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            raise OutputError(
                f"{self.url} can't be {done} ({reason(error)}); correct the URL, or what gives access to it"
            ) from error


def _version(about: Mapping[str, Any]) -> str:
    told = next((about[each] for each in _VERSIONS if about.get(each) is not None), None)
    told = told.timestamp() if isinstance(told, datetime) else told
    return f"{about['size']} {told or uuid4()}"  # where nothing tells, no two are the same
