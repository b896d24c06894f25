"""Which inputs are text worth reading, and the reasons why others are left out of a corpus."""

from __future__ import annotations

import re
from enum import Enum

from codingspot.corpus.corpus import DomainKind

LONGEST_LINE_BYTES = 1_000_000
MINIFIED_LINE = 1_000
MINIFIED_MEAN = 100
_HEADING = re.compile(r"(?:= )+.*(?: =)+")


class Reason(Enum):
    """Why something is not in a corpus, as its manifest says it."""

    NOT_UTF8 = "not UTF-8"
    BINARY = "binary"
    LONG_LINE = "a line of 1 MB"
    MINIFIED = "minified"
    EMPTY = "nothing left"
    DUPLICATE = "duplicate"
    NO_BLOCK = "no fenced block"
    OTHER_BLOCK = "block of another language"
    OTHER_LANGUAGE = "other language"
    HEADING = "heading"


def admit(data: bytes | str, kind: DomainKind) -> str | Reason:
    """The text of ``data``, without a byte-order mark, or why it is left out.

    - not UTF-8: its bytes don't decode (or a string holds half a surrogate pair);
    - binary: it holds a NUL;
    - a line of 1 MB: some line has 1,000,000 bytes or more;
    - minified (code only): some line has more than 1,000 characters, or the text has at least 1,000 and more than 100
      a line on average;
    - heading (general text only): it is no more than ``= Title =``, as WikiText has them.
    """
    try:
        encoded = data.encode() if isinstance(data, str) else data
        text = encoded.decode("utf-8-sig")
    except UnicodeError:
        return Reason.NOT_UTF8
    if "\0" in text:
        return Reason.BINARY
    if max(map(len, encoded.split(b"\n"))) >= LONGEST_LINE_BYTES:
        return Reason.LONG_LINE
    if not text.strip():
        return Reason.EMPTY
    if kind == "general":
        return Reason.HEADING if _HEADING.fullmatch(text.strip()) else text
    return Reason.MINIFIED if _is_minified(text) else text


def _is_minified(text: str) -> bool:
    lines = text.rstrip("\n").split("\n")
    dense = len(text) >= MINIFIED_LINE and len(text) > MINIFIED_MEAN * len(lines)
    return dense or max(map(len, lines)) > MINIFIED_LINE
