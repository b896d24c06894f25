"""Text from outside, made safe to show: names of models, domains and tasks, and what models write."""

from __future__ import annotations

import unicodedata


def visible(text: str, *, keep: str = "\n\t") -> str:
    r"""``text`` with every character that is not seen itself written out as its escape, such as ``\x1b``.

    That is control and format characters (which command a terminal, turn the direction of writing round, or are not
    allowed in XML), surrogates, unassigned characters and line separators. Spaces of every width stay.

    Args:
        text: any text.
        keep: control characters to leave as they are.
    """
    if text.isprintable():
        return text
    unseen = {ord(one): _escape(one) for one in set(text) if one not in keep and not _is_seen(one)}
    return text.translate(unseen)


def writable(text: str) -> str:
    r"""``text`` with what UTF-8 can't hold, such as a byte of a file name that is none, written out as ``\udce9``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
