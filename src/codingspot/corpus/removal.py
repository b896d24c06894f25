"""Cutting spans out of source code so that no two tokens merge and no line of code is joined with another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_BLANKS = b" \t"
_OPENERS = b"({,;"  # not `[`, which makes one token of two
_CLOSERS = b")]},;"
# Neighbours that could make one token: two of the first, as in `int x`, `1 .real`, `R "a"`, or two of the second.
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$@#.\\\"'`" + bytes(range(128, 256)))
_OPERATOR = frozenset(b"!#$%&*+-./:<=>?@^|~\\[")


class Span(NamedTuple):
    """Bytes ``start`` to ``end`` (exclusive) go; ``replacement`` is code that must stand in their place."""

    start: int
    end: int
    replacement: bytes = b""


def remove(source: bytes, spans: Iterable[Span], *, newline_ends_statement: bool) -> bytes:
    """Cut ``spans`` out of ``source``, with the whitespace that only they needed.

    A span that fills whole lines takes them along, and the blank lines after it where a blank line, the opening of
    a block, or nothing stands before it; the newline stays where the line before ends in a backslash, which would
    otherwise continue into the code below. A span at the end of a line takes the blanks before it, one at its start
    those after it. Between two tokens one blank is left, or a newline if the span had one and
    ``newline_ends_statement``; none where the span touched both and they can't merge, or touched an opening bracket
    before it, a closing one after it, a comma or a semicolon.
    """
    pieces: list[bytes] = []
    last = b""  # the end of what is written, to see whether a blank line may follow
    position = 0
    for span in _merged(source, spans):
        if span.start < position:
            continue
        kept, position = _cut(source, span, position, last, newline_ends_statement)
        pieces.append(kept)
        last = (last + kept)[-256:]
    pieces.append(source[position:])
    return b"".join(pieces)


def _merged(source: bytes, spans: Iterable[Span]) -> list[Span]:
    """The spans in order, without trailing whitespace, those with only blanks between them joined."""
    merged: list[Span] = []
    for start, end, replacement in sorted(spans):
        end = start + len(source[start:end].rstrip())
        before = merged[-1] if merged else None
        if before is not None and start < before.end:
            merged[-1] = before._replace(end=max(end, before.end))
        elif before is not None and not (replacement or source[before.end : start].strip(_BLANKS)):
            merged[-1] = before._replace(end=end)
        else:
            merged.append(Span(start, end, replacement))
    return merged


def _cut(source: bytes, span: Span, position: int, last: bytes, newline_ends_statement: bool) -> tuple[bytes, int]:
    """What is kept of ``source`` from ``position`` to the span, with what stands in its place, and where to go on."""
    start, end, replacement = span
    if replacement:
        left = start
        right = _end_of_blanks(source, end)
        return source[position:left] + replacement, right if _ends_line(source, right) else end
    left = position + len(source[position:start].rstrip(_BLANKS))
    right = _end_of_blanks(source, end)
    starts_line = left == 0 or source[left - 1 : left] == b"\n"
    if starts_line and _ends_line(source, right):
        kept = source[position:left]
        if source.endswith((b"\\\n", b"\\\r\n"), 0, left):
            return kept, right
        return kept, _after_lines(source, right, blank_before=_needs_no_blank_line((last + kept)[-256:]))
    if _ends_line(source, right):
        escaped = left < start and source[left - 1 : left] == b"\\"
        return source[position : left + escaped], right
    if starts_line:
        return source[position:start], right
    if newline_ends_statement and b"\n" in source[start:end]:
        return source[position:left] + b"\n", right
    before, after = source[left - 1], source[right]
    if left == start and right == end:
        apart = (before in _WORD and after in _WORD) or (before in _OPERATOR and after in _OPERATOR)
    else:
        apart = not (left == start and before in _OPENERS) and not (right == end and after in _CLOSERS)
    return source[position:left] + (b" " if apart else b""), right


def _end_of_blanks(source: bytes, position: int) -> int:
    while source[position : position + 1] in (b" ", b"\t"):
        position += 1
    return position


def _ends_line(source: bytes, position: int) -> bool:
    return position == len(source) or source.startswith((b"\n", b"\r\n"), position)


def _after_lines(source: bytes, position: int, *, blank_before: bool) -> int:
    """The start of the line after ``position``; past the blank lines there if ``blank_before``."""
    newline = source.find(b"\n", position)
    position = len(source) if newline < 0 else newline + 1
    while blank_before:
        newline = source.find(b"\n", position)
        if newline < 0 or source[position:newline].strip():
            break
        position = newline + 1
    return position


def _needs_no_blank_line(written: bytes) -> bool:
    line = written.removesuffix(b"\n").rpartition(b"\n")[2].strip()
    return not line or line.endswith((b"{", b"(", b"[", b":"))
