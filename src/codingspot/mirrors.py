"""Directories that have a copy elsewhere, which hears of what is written, moved and removed in them.

None has one, unless :mod:`codingspot.remote` gave it one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path


class Mirror:
    """What is told of a directory, after it happened there; this one does nothing."""

    url = ""

    def written(self, path: Path) -> None:
        """Hear that the file or folder ``path`` is there, whole; it may be told again."""

    def moved(self, source: Path, target: Path) -> None:
        """Hear that ``source`` is at ``target`` now, where nothing was."""

    def removed(self, path: Path) -> None:
        """Hear that the file or folder ``path`` is gone."""

    def is_awaited(self, path: Path) -> bool:
        """Whether the file ``path`` is not here yet."""
        del path
        return False

    def present(self, path: Path) -> None:
        """Make the file ``path`` be here."""


_MIRRORS: dict[Path, Mirror] = {}
_NONE = Mirror()


def attach(folder: Path, mirror: Mirror) -> None:
    """Let ``mirror`` hear of ``folder``, a real path, from now on."""
    _MIRRORS[folder] = mirror


def detach(folder: Path) -> None:
    """Let no mirror hear of ``folder`` any more."""
    _MIRRORS.pop(folder, None)


def attached() -> dict[Path, Mirror]:
    """All directories that have a mirror."""
    return dict(_MIRRORS)


def mirror_of(path: Path) -> Mirror:
    """The mirror of the directory, or file, that ``path`` is or lies in."""
    if not _MIRRORS:
        return _NONE
    place = Path(os.path.realpath(path))
    return next((mirror for folder, mirror in _MIRRORS.items() if folder in (place, *place.parents)), _NONE)


def as_given(text: str) -> str:
    """``text`` with the URLs that users know in place of the folders that mirror them."""
    for folder, mirror in _MIRRORS.items():
        text = mirror.url.join(re.split(rf"{re.escape(str(folder))}(?!\.?\w)", text))
    return text
