"""What kind of thing each token of a text is: keyword, name, bracket, word, and so on.

Of source code a grammar says it, by the leaf that a token begins in, with rules that hold for any language: a leaf
without a name of its own that is a word is a keyword, one of other characters a bracket, punctuation or an operator.
Other text, and what a grammar doesn't read, is told apart by its characters alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from tree_sitter import Node, TreeCursor

from codingspot.corpus.grammars import parse
from codingspot.corpus.languages import PURIFIABLE

TOKEN_CLASSES: Final = (
    "keyword",
    "name",
    "literal",
    "comment",
    "operator",
    "punctuation",
    "opening bracket",
    "closing bracket",
    "word",
    "white space",
)
"""A token is of the class of its first character that isn't white space, or, without one, white space."""

_CODE: Final = {name: number for number, name in enumerate(TOKEN_CLASSES)}
_WHITE_SPACE: Final = _CODE["white space"]
_LEXICAL: Final = re.compile(
    r"(?P<literal>\d[\w.]*)|(?P<word>\w+)|(?P<opening_bracket>[(\[{]+)|(?P<closing_bracket>[)\]}]+)|(?P<punctuation>\S)"
)
_BRACKETS: Final = frozenset("()[]{}")
_QUOTES: Final = frozenset("\"'`")
_PUNCTUATION: Final = frozenset(",;:.")
_KEYWORD_NODE: Final = re.compile(
    r"(?:primitive|predefined|void|boolean|integral|floating_point)_type$|^(?:this|self|super)$|mutable_specifier|"
    r"^(?:null|nil|none|boolean|true|false)(?:_literal)?$"
)
_LITERAL_NODE: Final = re.compile(
    r"string|char|regex|heredoc|nowdoc|escape|number|integer|float|double|decimal|literal|raw_text|content|quote"
)


def token_classes(text: str, spans: Sequence[tuple[int, int]], language: str | None = None) -> list[int]:
    """The class of each token, as its place in :data:`TOKEN_CLASSES`.

    Args:
        text: what was tokenised.
        spans: where each token begins and ends in it, in characters.
        language: by its canonical name, of source code.
    """
    classes = _of_characters(text)
    if language in PURIFIABLE:
        _read_tree(classes, text, str(language))
    return [_of_token(classes[start:end]) for start, end in spans]


def _of_token(classes: np.ndarray) -> int:
    inside = classes[classes != _WHITE_SPACE]
    return int(inside[0]) if len(inside) else _WHITE_SPACE


def _of_characters(text: str) -> np.ndarray:
    classes = np.full(len(text), _WHITE_SPACE, dtype=np.uint8)
    for match in _LEXICAL.finditer(text):
        classes[match.start() : match.end()] = _CODE[str(match.lastgroup).replace("_", " ")]
    return classes


def _read_tree(classes: np.ndarray, text: str, language: str) -> None:
    """Put the grammar's classes in place of those by characters, where text is; brackets of code are as they were."""
    source = text.encode()
    tree, _ = parse(source, language)
    # A leaf's place is in bytes; character n begins at byte starts[n].
    starts = np.cumsum([0, *(len(character.encode()) for character in text)]) if len(source) > len(text) else None
    for leaf in _leaves(tree.walk()):
        found = _of_leaf(leaf)
        if found is not None:
            ends = leaf.start_byte, leaf.end_byte
            first, last = ends if starts is None else np.searchsorted(starts, ends).tolist()
            part = classes[first:last]
            part[part != _WHITE_SPACE] = found


def _leaves(cursor: TreeCursor) -> Iterator[Node]:
    while True:
        while cursor.goto_first_child():
            pass
        if cursor.node is not None:
            yield cursor.node
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _of_leaf(leaf: Node) -> int | None:
    """The class of a leaf; None where its characters tell, as of brackets and of what isn't taken apart (macros)."""
    kind, text = leaf.type, (leaf.text or b"").decode(errors="replace")
    if not leaf.is_named:
        return _of_symbol(text)
    if "comment" in kind:
        return _CODE["comment"]
    if _KEYWORD_NODE.search(kind) or text.lower() == kind:
        return _CODE["keyword"]
    if _LITERAL_NODE.search(kind):
        return _CODE["literal"]
    if len(text.split()) > 1 or "preproc" in kind:
        return None
    return _CODE["name"] if any(map(str.isalnum, text)) else _of_symbol(text)


def _of_symbol(text: str) -> int | None:
    """The class of a leaf that a grammar knows by its text; None where its characters tell."""
    characters = set(text)
    if characters & _BRACKETS:
        return None
    if any(map(str.isalpha, text)):
        return _CODE["keyword"]
    if characters & _QUOTES:
        return _CODE["literal"]
    return _CODE["punctuation" if characters <= _PUNCTUATION else "operator"]
