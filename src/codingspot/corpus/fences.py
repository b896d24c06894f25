"""Fenced code blocks of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

FENCES = ("```", "~~~")
"""What every fence begins with."""

_OPENING = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$")


class FencedBlock(NamedTuple):
    """``tag`` is the first word after the opening fence (the info string's language), ``code`` what it encloses."""

    tag: str
    code: str


def fenced_blocks(markdown: str) -> Iterator[FencedBlock]:
    """Every fenced block, in order, as CommonMark has them (a fence of at least three backticks or tildes, closed by
    one at least as long, or by the end), but indented ones too, whose indentation goes. Lines end in a line feed, with
    or without a carriage return before it, and nothing else.
    """
    return (block for block, _ in _blocks(markdown))


def first_block_closed(markdown: str) -> bool:
    """Whether the first fenced block is followed by a fence, not by the end of the text."""
    return _first_end(markdown) is not None


def through_first_block(markdown: str) -> str:
    """The text up to the fence that closes its first block; all of it where none does."""
    end = _first_end(markdown)
    return markdown if end is None else "\n".join(markdown.split("\n")[: end + 1])


def _first_end(markdown: str) -> int | None:
    return next((end for _, end in _blocks(markdown)), None)


def _blocks(markdown: str) -> Iterator[tuple[FencedBlock, int | None]]:
    """Every block, and the number of the line whose fence closes it; None where the end does."""
    opening: re.Match[str] | None = None
    lines: list[str] = []
    for number, line in enumerate(markdown.replace("\r\n", "\n").removesuffix("\n").split("\n")):
        if opening is None:
            opening = _OPENING.match(line)
            lines = []
        elif _closes(line, opening[2]):
            yield _block(opening, lines), number
            opening = None
        else:
            lines.append(line)
    if opening is not None:
        yield _block(opening, lines), None


def first_block_with_tag(markdown: str) -> str | None:
    """What stands between the first two runs of three backticks, the fence's language tag left in the text, or None.

    This is what the authors' released scripts of the Coding Spot paper score.
    """
    parts = markdown.split("```")
    return parts[1] if len(parts) > 1 else None


def _closes(line: str, fence: str) -> bool:
    text = line.strip(" \t")
    return len(text) >= len(fence) and set(text) == {fence[0]}


def _block(opening: re.Match[str], lines: list[str]) -> FencedBlock:
    indent = opening[1]
    tag = re.split(r"[\s,{]", opening[3].strip(), maxsplit=1)[0]
    return FencedBlock(tag, "".join(f"{line.removeprefix(indent)}\n" for line in lines))
